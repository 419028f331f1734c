// Where images are looked at: one zoom and one place for all of them, a divider between before
// and after, or both side by side. Wheel, pinch, drag, buttons and keys do the same.

const MAX_ZOOM = 64; // screen pixels per image pixel

export class Stage {
  /** onView(zoom), onPoint({x, y} | null): image pixels under the pointer. */
  constructor(canvas, { onView, onPoint }) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.onView = onView;
    this.onPoint = onPoint;
    this.layers = { before: null, after: null, single: null };
    this.mode = "slider"; // slider, side, single
    this.split = 0.5;
    this.zoom = 1;
    this.x = 0; // image point in the middle of a pane
    this.y = 0;
    this.size = null; // of the image
    this.fitted = true;
    this.pointers = new Map();
    this.frame = 0;
    this.listen();
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(canvas);
  }

  close() {
    this.observer.disconnect();
    cancelAnimationFrame(this.frame);
  }

  /** Canvases of the same size, or null. */
  show(layers) {
    Object.assign(this.layers, layers);
    const one = this.layers.before ?? this.layers.single;
    const changed = one && (!this.size || this.size.width !== one.width || this.size.height !== one.height);
    if (changed) {
      this.size = { width: one.width, height: one.height };
      this.fit();
    }
    this.draw();
  }

  set(mode) {
    this.mode = mode;
    if (this.fitted) this.fit();
    this.draw();
  }

  setSplit(part) {
    this.split = part;
    this.draw();
  }

  /** CSS pixels of one pane. */
  pane() {
    const width = this.canvas.clientWidth;
    return { width: this.mode === "side" ? width / 2 : width, height: this.canvas.clientHeight };
  }

  least() {
    const { width, height } = this.pane();
    return Math.min(width / this.size.width, height / this.size.height);
  }

  fit() {
    if (!this.size) return;
    this.fitted = true;
    this.zoom = this.least();
    this.x = this.size.width / 2;
    this.y = this.size.height / 2;
    this.onView(this.zoom);
    this.draw();
  }

  /** Zooms about a point of the pane, in CSS pixels from its middle. */
  zoomTo(zoom, dx = 0, dy = 0) {
    if (!this.size) return;
    const least = Math.min(this.least(), 1) / 2;
    const next = Math.max(least, Math.min(MAX_ZOOM, zoom));
    this.x += dx / this.zoom - dx / next;
    this.y += dy / this.zoom - dy / next;
    this.zoom = next;
    this.fitted = false;
    this.keepInside();
    this.onView(this.zoom);
    this.draw();
  }

  pan(dx, dy) {
    this.x += dx / this.zoom;
    this.y += dy / this.zoom;
    this.fitted = false;
    this.keepInside();
    this.draw();
  }

  keepInside() {
    this.x = Math.max(0, Math.min(this.size.width, this.x));
    this.y = Math.max(0, Math.min(this.size.height, this.y));
  }

  resize() {
    const scale = devicePixelRatio || 1;
    this.canvas.width = Math.round(this.canvas.clientWidth * scale);
    this.canvas.height = Math.round(this.canvas.clientHeight * scale);
    if (this.fitted) this.fit();
    else this.draw();
  }

  /* From the left upper corner of the canvas to the middle of the pane it lies in. */
  middle(px, py) {
    const { width, height } = this.pane();
    const left = this.mode === "side" && px >= width ? width : 0;
    return { dx: px - left - width / 2, dy: py - height / 2 };
  }

  pointAt(px, py) {
    const { dx, dy } = this.middle(px, py);
    const x = Math.floor(this.x + dx / this.zoom);
    const y = Math.floor(this.y + dy / this.zoom);
    const inside = x >= 0 && y >= 0 && x < this.size.width && y < this.size.height;
    return inside ? { x, y } : null;
  }

  listen() {
    const { canvas } = this;
    const place = (event) => {
      const box = canvas.getBoundingClientRect();
      return { x: event.clientX - box.left, y: event.clientY - box.top };
    };
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      if (!this.size) return;
      const at = place(event);
      const { dx, dy } = this.middle(at.x, at.y);
      const lines = event.deltaMode === 1 ? 16 : 1;
      this.zoomTo(this.zoom * 1.0018 ** (-event.deltaY * lines), dx, dy);
    }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, place(event));
      canvas.classList.add("grabbing");
    });
    canvas.addEventListener("pointermove", (event) => this.moved(event.pointerId, place(event)));
    for (const name of ["pointerup", "pointercancel"])
      canvas.addEventListener(name, (event) => {
        this.pointers.delete(event.pointerId);
        canvas.classList.toggle("grabbing", this.pointers.size > 0);
      });
    canvas.addEventListener("pointerleave", () => this.onPoint(null));
    canvas.addEventListener("dblclick", () => (this.fitted ? this.zoomTo(1) : this.fit()));
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  moved(id, now) {
    if (!this.size) return;
    const before = this.pointers.get(id);
    if (before && this.pointers.size === 1) this.pan(before.x - now.x, before.y - now.y);
    else if (before && this.pointers.size === 2) {
      const [other] = [...this.pointers].filter(([k]) => k !== id).map(([, v]) => v);
      const apart = (a) => Math.hypot(a.x - other.x, a.y - other.y);
      const { dx, dy } = this.middle((now.x + other.x) / 2, (now.y + other.y) / 2);
      this.zoomTo((this.zoom * apart(now)) / Math.max(1, apart(before)), dx, dy);
      this.pan((before.x - now.x) / 2, (before.y - now.y) / 2);
    }
    if (before) this.pointers.set(id, now);
    this.onPoint(this.pointAt(now.x, now.y));
  }

  /* Keys that every keyboard has without a modifier. */
  key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || !this.size) return;
    const far = 40;
    const keys = {
      ArrowLeft: () => this.pan(-far, 0),
      ArrowRight: () => this.pan(far, 0),
      ArrowUp: () => this.pan(0, -far),
      ArrowDown: () => this.pan(0, far),
      "+": () => this.zoomTo(this.zoom * 1.25),
      "-": () => this.zoomTo(this.zoom / 1.25),
      0: () => this.fit(),
      1: () => this.zoomTo(1),
    };
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  }

  draw() {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.drawNow());
  }

  drawNow() {
    const { context: c, canvas } = this;
    c.setTransform(1, 0, 0, 1, 0, 0);
    c.clearRect(0, 0, canvas.width, canvas.height);
    if (!this.size) return;
    const { width } = this.pane();
    const { before, after, single } = this.layers;
    if (this.mode === "single" || !after) this.drawIn(single ?? before, 0, width, 0, width);
    else if (this.mode === "side") {
      this.drawIn(before, 0, width, 0, width);
      this.drawIn(after, width, width, width, width);
    } else {
      const at = width * this.split;
      this.drawIn(before, 0, width, 0, at);
      this.drawIn(after, 0, width, at, width - at);
    }
  }

  /* layer into the pane at `left`, cut to the stripe at `from`; CSS pixels. */
  drawIn(layer, left, width, from, stripe) {
    if (!layer || stripe <= 0) return;
    const { context: c } = this;
    const scale = devicePixelRatio || 1;
    const { height } = this.pane();
    c.save();
    c.setTransform(scale, 0, 0, scale, 0, 0);
    c.beginPath();
    c.rect(from, 0, stripe, height);
    c.clip();
    c.imageSmoothingEnabled = this.zoom * scale < 1;
    c.imageSmoothingQuality = "high";
    c.translate(left + width / 2, height / 2);
    c.scale(this.zoom, this.zoom);
    c.drawImage(layer, -this.x, -this.y);
    c.restore();
  }
}
