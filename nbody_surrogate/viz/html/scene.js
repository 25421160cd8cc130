// The 3D scene of a trajectory on a plain canvas: balls, trails, rings and error lines, as in the
// pictures. Drag to turn, wheel or pinch to zoom, the slider and the button for the time.
"use strict";

function nbodyScene(root, data) {
  const canvas = root.querySelector("canvas"), pen = canvas.getContext("2d");
  const slider = root.querySelector("input[type=range]"), button = root.querySelector("button");
  const clock = root.querySelector("output"), note = root.querySelector(".note");
  const { n, t, radii, reaches, centres, sizes, balls, turns, scenery } = data, frames = t.length;
  const speeds = floats(data.speeds), under = root.querySelector(".under");
  // places on a ramp of colours, frame by frame, where these change in the course of time
  const shades = data.shades && data.shades.values.map(floats), shown = data.shades && floats(data.shades.shown);
  let ramp = data.shades && data.shades.light;
  let colours = data.colours.light, seenNow = [], pointed = null;
  const tracks = data.tracks.map((track) => ({ ...track, x: floats(track.x) }));
  const lead = tracks[0], rival = tracks[1];
  const HUGE = 1e30, HALF = 7 * Math.PI / 180; // of the view's angle, as in the pictures
  const EDGE = 0.9, SAMPLES = 24; // share of the canvas that balls keep within; times that are looked at
  const budget = 14000 / (n * tracks.length); // strokes of trails in one picture
  const trail = Math.max(2, Math.min(data.trail, Math.floor(budget)));
  const steps = budget > 4 * trail ? 4 : 1;
  let at = frames - 1, [yaw, pitch] = data.view, zoom = 0; // 0 until the page has a size to fit into
  let playing = false, before = 0, queued = false, theme = {};
  const sprites = new Map(), fingers = new Map();

  function floats(text) {
    const raw = atob(text), bytes = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
    return new Float32Array(bytes.buffer);
  }

  // Position of particle i at a time in frames, by a Catmull-Rom spline through the frames.
  function place(track, i, time, out) {
    const f = Math.min(Math.floor(time), frames - 2), s = time - f;
    for (let d = 0; d < 3; d++) {
      if (frames < 2) { out[d] = track.x[3 * i + d]; continue; }
      const value = (k) => track.x[(Math.max(0, Math.min(frames - 1, k)) * n + i) * 3 + d];
      const a = value(f - 1), b = value(f), c = value(f + 1), e = value(f + 2);
      out[d] = s === 0 ? b : s === 1 ? c : 0.5 * (2 * b + (c - a) * s
        + (2 * a - 5 * b + 4 * c - e) * s * s + (3 * b - a - 3 * c + e) * s * s * s);
    }
    return Math.abs(out[0]) + Math.abs(out[1]) + Math.abs(out[2]) < HUGE;
  }

  function between(values, time) {
    const f = Math.max(0, Math.min(Math.floor(time), frames - 2)), s = time - f;
    return frames < 2 ? values[0] : values[f] + (values[f + 1] - values[f]) * s;
  }

  function facing() {
    const cy = Math.cos(yaw), sy = Math.sin(yaw), cp = Math.cos(pitch), sp = Math.sin(pitch);
    return { right: [-sy, cy, 0], towards: [cp * cy, cp * sy, sp], up: [-sp * cy, -sp * sy, cp] };
  }

  // From where the sphere that holds all is in sight, whichever way it is turned.
  const farthest = (time, aspect) => between(reaches, time) * Math.max(1, 1 / aspect) / Math.sin(HALF);

  const size = (time) => between(radii, time) * 0.036 * Math.min(30 / n, 4) ** 0.25; // of a ball

  // Radii of particle i: of its ball and its ring, which may have a true size, and of its trail.
  const ballOf = (i, ball) => balls ? balls[i] : ball * sizes[i];
  const ringOf = (i, ball) => balls ? 1.1 * balls[i] : 1.4 * ball * sizes[i];
  const trailOf = (i, ball) => balls ? Math.min(0.42 * ball * sizes[i], 0.42 * balls[i]) : 0.42 * ball * sizes[i];

  // How much nearer the camera may stand as the page opens: seen from one side all balls, trails and
  // lines need less room than that sphere. The same at all times, so that nothing swells while it plays.
  function fitted(aspect) {
    const { right, towards, up } = facing(), high = Math.tan(HALF) * EDGE, slopes = [high * aspect, high];
    const p = [0, 0, 0], dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
    const fixed = [...scenery.lines.flat(), ...scenery.rods.map((rod) => rod.slice(1))];
    let found = 4;
    for (let k = 0; k < SAMPLES; k++) {
      const time = (frames - 1) * k / (SAMPLES - 1), reach = between(reaches, time), ball = size(time);
      const centre = [0, 1, 2].map((d) => between(centres[d], time));
      let needed = 0;
      const hold = (point, r) => {
        const off = point.map((value, d) => value - centre[d]);
        if (Math.hypot(...off) + r > 1.001 * reach) return; // it has run away
        [dot(off, right), dot(off, up)].forEach((across, d) => {
          const s = slopes[d];
          needed = Math.max(needed, dot(off, towards) + (Math.abs(across) + r * Math.sqrt(1 + s * s)) / s);
        });
      };
      for (const track of tracks) for (let i = 0; i < n; i++) for (const back of [0, 0.5, 1]) {
        if (place(track, i, Math.max(0, time - back * trail), p)) hold(p, ringOf(i, ball));
      }
      for (const point of fixed) hold(point, 0);
      if (needed > 0) found = Math.min(found, farthest(time, aspect) / needed);
    }
    return Math.max(1, found);
  }

  // The camera: where it looks at the moment, and how it maps space to pixels.
  function camera() {
    const centre = [0, 1, 2].map((d) => between(centres[d], at)), radius = between(radii, at) / zoom;
    const { right, towards, up } = facing();
    const { width, height } = canvas;
    const distance = farthest(at, width / height) / zoom;
    const focus = height / 2 / Math.tan(HALF);
    return (p, out) => {
      const x = p[0] - centre[0], y = p[1] - centre[1], z = p[2] - centre[2];
      const depth = distance - (x * towards[0] + y * towards[1] + z * towards[2]);
      const scale = focus / depth;
      out.x = width / 2 + scale * (x * right[0] + y * right[1] + z * right[2]);
      out.y = height / 2 - scale * (x * up[0] + y * up[1] + z * up[2]);
      out.depth = depth; out.scale = scale;
      out.haze = Math.max(0, Math.min(0.45, 0.05 + 0.3 * (depth - distance) / radius));
      return depth > 0.02 * distance;
    };
  }

  const mixed = (a, b, share) => a.map((v, k) => v + (b[k] - v) * share);
  const css = (rgb, alpha = 1) => `rgba(${rgb.map(Math.round).join(",")},${alpha})`;

  // The colour of particle i at a time, of the lead or (which = 1) of the candidate, which is paler
  // where colours are not to be read from a ramp.
  function hue(i, time, which = 0) {
    if (shades) return ramp[Math.round(shades[which][Math.round(time) * n + i] * (ramp.length - 1))];
    return which ? mixed(colours[i], theme.ink, 0.45) : colours[i];
  }

  // A ball, painted once for each colour and depth of haze.
  function sprite(rgb, haze) {
    const level = Math.round(haze * 10) / 10, key = rgb + "/" + level;
    if (!sprites.has(key)) {
      const size = 96, made = document.createElement("canvas");
      made.width = made.height = size;
      const brush = made.getContext("2d"), base = mixed(rgb, theme.back, level);
      const glow = brush.createRadialGradient(0.36 * size, 0.32 * size, 0, 0.5 * size, 0.5 * size, 0.5 * size);
      glow.addColorStop(0, css(mixed(base, [255, 255, 255], 0.55)));
      glow.addColorStop(0.35, css(base));
      glow.addColorStop(1, css(mixed(base, [0, 0, 0], 0.45)));
      brush.fillStyle = glow;
      brush.beginPath(); brush.arc(size / 2, size / 2, size / 2 - 1, 0, 7); brush.fill();
      sprites.set(key, made);
    }
    return sprites.get(key);
  }

  function drawTrail(project, track, i, which, width) {
    const p = [0, 0, 0], q = {}, first = Math.max(0, at - trail), count = Math.ceil((at - first) * steps);
    let last = null;
    for (let k = 0; k <= count; k++) {
      const time = Math.min(first + k / steps, at);
      const seen = place(track, i, time, p) && project(p, q);
      if (seen && last) {
        const age = 1 - (at - time) / trail;
        const rgb = hue(i, time, which);
        pen.strokeStyle = css(mixed(theme.back, mixed(rgb, theme.back, q.haze), 0.15 + 0.85 * age));
        pen.lineWidth = Math.max(0.6, 2 * width * q.scale * (0.05 + 0.95 * age));
        pen.beginPath(); pen.moveTo(last.x, last.y); pen.lineTo(q.x, q.y); pen.stroke();
      }
      last = seen ? { x: q.x, y: q.y } : null;
    }
  }

  function draw() {
    queued = false;
    const ratio = Math.min(2, window.devicePixelRatio || 1), box = canvas.getBoundingClientRect();
    const width = Math.max(1, Math.round(box.width * ratio)), height = Math.max(1, Math.round(box.height * ratio));
    if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
    if (!zoom) zoom = fitted(width / height);
    const sky = pen.createLinearGradient(0, 0, 0, height);
    sky.addColorStop(0, css(theme.top)); sky.addColorStop(1, css(theme.bottom));
    pen.fillStyle = sky; pen.fillRect(0, 0, width, height);
    pen.lineCap = "round";
    const project = camera(), ball = size(at);
    const seen = [], p = [0, 0, 0];
    for (let i = 0; i < n; i++) {
      const item = { i };
      if (place(lead, i, at, p) && project(p, item)) seen.push(item);
    }
    seen.sort((a, b) => b.depth - a.depth);
    drawScenery(project, ball);
    for (const { i } of seen) drawTrail(project, lead, i, 0, trailOf(i, ball));
    if (rival) for (const { i } of seen) drawTrail(project, rival, i, 1, 0.14 * ball);
    for (const item of seen) {
      const r = item.r = Math.max(1, ballOf(item.i, ball) * item.scale);
      pen.drawImage(sprite(hue(item.i, at), item.haze), item.x - r, item.y - r, 2 * r, 2 * r);
    }
    if (rival) drawRival(project, seen, ball);
    seenNow = seen;
    tell(seen); point();
  }

  // What the system shows beside its particles: bonds, rods, and lines that stand still.
  function drawScenery(project, ball) {
    const p = [0, 0, 0], q = [0, 0, 0], a = {}, b = {};
    const stroke = (from, to, width, alpha) => {
      if (!project(from, a) || !project(to, b)) return;
      pen.strokeStyle = css(theme.scenery, alpha * (1 - 0.5 * (a.haze + b.haze)));
      pen.lineWidth = Math.max(0.75, width * 0.5 * (a.scale + b.scale));
      pen.beginPath(); pen.moveTo(a.x, a.y); pen.lineTo(b.x, b.y); pen.stroke();
    };
    for (const line of scenery.lines) for (let k = 1; k < line.length; k++) stroke(line[k - 1], line[k], 0.12 * ball, 0.7);
    const room = Math.min(1, 40 / Math.max(1, scenery.bonds.length + scenery.rods.length)) ** 0.35;
    for (const [i, j, width] of scenery.bonds) {
      if (place(lead, i, at, p) && place(lead, j, at, q)) stroke(p, q, 0.3 * ball * width * room, 0.9 * room);
    }
    for (const [i, ...end] of scenery.rods) if (place(lead, i, at, p)) stroke(p, end, 0.3 * ball * room, 0.9);
  }

  // The particle under the pointer, in words.
  function point() {
    let best = null, least = Infinity;
    const ratio = canvas.width / Math.max(1, canvas.getBoundingClientRect().width);
    if (pointed) for (const item of seenNow) {
      const gap = Math.hypot(item.x - pointed[0], item.y - pointed[1]);
      if (gap < Math.min(least, Math.max(16 * ratio, item.r))) { least = gap; best = item.i; }
    }
    if (best === null) { under.textContent = ""; return; }
    const now = Math.round(at) * n + best, speed = speeds[now];
    const more = shown ? `, ${data.shades.label} ${Number(shown[now].toPrecision(3))}` : "";
    under.textContent = `particle ${best}: charge ${data.charges[best]}, mass ${data.masses[best]}, ${balls ? `radius ${Number(balls[best].toPrecision(4))}, ` : ""}speed ${Number(speed.toPrecision(3))}${more}`;
  }

  // Rings around the candidate's particles, and a line to where the reference has them.
  function drawRival(project, seen, ball) {
    const p = [0, 0, 0], twin = {};
    for (const item of seen) {
      if (!place(rival, item.i, at, p) || !project(p, twin)) continue;
      const r = ringOf(item.i, ball) * twin.scale;
      pen.strokeStyle = css(theme.error); pen.lineWidth = Math.max(1, 0.2 * ball * twin.scale);
      pen.beginPath(); pen.moveTo(item.x, item.y); pen.lineTo(twin.x, twin.y); pen.stroke();
      pen.strokeStyle = css(mixed(hue(item.i, at, 1), theme.back, twin.haze)); pen.lineWidth = Math.max(1, 0.13 * r);
      pen.beginPath(); pen.arc(twin.x, twin.y, r, 0, 7); pen.stroke();
    }
  }

  function tell(seen) {
    clock.textContent = "t = " + between(t, at).toFixed(data.digits) + data.suffix;
    slider.value = String(at);
    slider.setAttribute("aria-valuetext", clock.textContent);
    const frame = Math.round(at);
    const error = rival ? "position RMSE " + data.rmse[frame] : "";
    note.textContent = [error, frame === frames - 1 ? data.stopped : ""].filter(Boolean).join(", ");
    const first = seen.find((item) => item.i === 0);
    canvas.dataset.frame = at.toFixed(2); canvas.dataset.zoom = zoom.toFixed(2);
    canvas.dataset.far = Math.max(...seen.flatMap((item) => {
      const r = size(at) * sizes[item.i] * item.scale;
      return [(Math.abs(2 * item.x - canvas.width) + 2 * r) / canvas.width, (Math.abs(2 * item.y - canvas.height) + 2 * r) / canvas.height];
    })).toFixed(3);
    canvas.dataset.first = first ? first.x.toFixed(2) + "," + first.y.toFixed(2) : "";
  }

  function redraw() { if (!queued) { queued = true; requestAnimationFrame(playing ? step : draw); } }

  function step(now) {
    const passed = before ? Math.min(0.1, (now - before) / 1000) : 0;
    before = now; at += passed * data.fps;
    if (at >= frames - 1) { at = frames - 1; play(false); }
    draw();
    if (playing) redraw();
  }

  function play(on) {
    playing = on; before = 0;
    button.textContent = on ? "❚❚" : "▶";
    button.setAttribute("aria-label", on ? "Pause" : "Play");
  }

  function paint() {
    const style = getComputedStyle(root), rgb = (name) => style.getPropertyValue(name).trim().split(" ").map(Number);
    theme = { top: rgb("--sky-top"), bottom: rgb("--sky-bottom"), ink: rgb("--sky-ink"), error: rgb("--error"), scenery: rgb("--scenery") };
    const dark = data.theme ? data.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    colours = dark ? data.colours.dark : data.colours.light;
    if (shades) ramp = dark ? data.shades.dark : data.shades.light;
    theme.back = mixed(theme.top, theme.bottom, 0.5);
    sprites.clear(); redraw();
  }

  button.addEventListener("click", () => {
    if (!playing && at >= frames - 1) at = 0;
    play(!playing); redraw();
  });
  slider.addEventListener("input", () => { play(false); at = Number(slider.value); redraw(); });
  canvas.addEventListener("pointerdown", (e) => { canvas.setPointerCapture(e.pointerId); fingers.set(e.pointerId, [e.clientX, e.clientY]); });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (e) => fingers.delete(e.pointerId));
  canvas.addEventListener("pointerleave", () => { pointed = null; point(); });
  canvas.addEventListener("keydown", (e) => {
    const turn = { ArrowLeft: [0.1, 0], ArrowRight: [-0.1, 0], ArrowUp: [0, 0.1], ArrowDown: [0, -0.1] }[e.key];
    const grow = { "+": 1.15, "=": 1.15, "-": 1 / 1.15 }[e.key];
    if (e.key === " ") button.click();
    else if (turn && turns) { yaw += turn[0]; pitch = Math.max(-1.5, Math.min(1.5, pitch + turn[1])); }
    else if (grow) zoom = Math.max(0.1, Math.min(20, zoom * grow));
    else return;
    e.preventDefault(); redraw();
  });
  canvas.addEventListener("pointermove", (e) => {
    const box = canvas.getBoundingClientRect(), ratio = canvas.width / Math.max(1, box.width);
    pointed = [(e.clientX - box.left) * ratio, (e.clientY - box.top) * ratio];
    if (!fingers.size) point();
    const was = fingers.get(e.pointerId);
    if (!was) return;
    const others = [...fingers.entries()].filter(([id]) => id !== e.pointerId).map(([, xy]) => xy);
    if (others.length) {
      const gap = (xy) => Math.hypot(xy[0] - others[0][0], xy[1] - others[0][1]) || 1;
      zoom = Math.max(0.1, Math.min(20, zoom * gap([e.clientX, e.clientY]) / gap(was)));
    } else if (turns) {
      yaw -= 0.008 * (e.clientX - was[0]);
      pitch = Math.max(-1.5, Math.min(1.5, pitch + 0.008 * (e.clientY - was[1])));
    }
    fingers.set(e.pointerId, [e.clientX, e.clientY]); redraw();
  });
  canvas.addEventListener("wheel", (e) => {
    e.preventDefault(); zoom = Math.max(0.1, Math.min(20, zoom * Math.exp(-0.001 * e.deltaY))); redraw();
  }, { passive: false });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
  new ResizeObserver(redraw).observe(canvas);
  slider.max = String(frames - 1);
  button.disabled = slider.disabled = frames < 2;
  play(false); paint();
  requestAnimationFrame(() => { document.documentElement.dataset.drawn = performance.now().toFixed(0); });
}
