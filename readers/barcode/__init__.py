"""Pictures to barcode symbols. ``zxing.py`` alone imports zxing-cpp and Pillow."""
