// The camera: frames as JPEG, posted to the server for reading one after another, never two at once.

export class Camera {
  constructor(video) {
    this.video = video;
    this.stream = null;
    this.canvas = document.createElement("canvas");
  }

  static get possible() {
    return Boolean(navigator.mediaDevices?.getUserMedia);
  }

  // facing: "environment" (a phone's back camera) or "user". Throws what getUserMedia throws.
  async start(facing = "environment") {
    if (this.stream) return;
    this.stream = await navigator.mediaDevices.getUserMedia({
      audio: false,
      video: { facingMode: { ideal: facing }, width: { ideal: 1280 }, height: { ideal: 720 } },
    });
    this.video.srcObject = this.stream;
    await this.video.play();
  }

  stop() {
    this.reading = false;
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = null;
    this.video.srcObject = null;
  }

  // One frame, at most `width` pixels wide.
  async frame(width = 1280, quality = 0.8) {
    const { videoWidth, videoHeight } = this.video;
    if (!videoWidth) return null;
    const scale = Math.min(1, width / videoWidth);
    this.canvas.width = Math.round(videoWidth * scale);
    this.canvas.height = Math.round(videoHeight * scale);
    this.canvas.getContext("2d", { alpha: false }).drawImage(this.video, 0, 0, this.canvas.width, this.canvas.height);
    return new Promise((done) => this.canvas.toBlob(done, "image/jpeg", quality));
  }

  // Ask `look(blob)` about frame after frame until it answers something, or stop() is called. `onTrouble` hears its errors.
  async read(look, onTrouble = () => {}) {
    this.reading = true;
    while (this.reading && this.stream) {
      const blob = await this.frame();
      if (blob && this.reading) {
        try {
          const found = await look(blob);
          if (found && this.reading) {
            this.reading = false;
            return found;
          }
        } catch (error) {
          onTrouble(error);
          await new Promise((r) => setTimeout(r, 1500));
        }
      }
      await new Promise((r) => setTimeout(r, 180));
    }
    return null;
  }
}

export function cameraTrouble(error) {
  if (!Camera.possible) return "insecure";
  if (error?.name === "NotAllowedError") return "refused";
  return "missing";
}
