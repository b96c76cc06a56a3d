"""Card applications, one file each, over the narrow ``CardConnection``: PIV, PKOC, plain UID."""
