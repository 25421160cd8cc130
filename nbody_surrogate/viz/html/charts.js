// Values of a chart's curves at the place under the pointer, or that the arrow keys choose.
"use strict";

function nbodyCharts(root) {
  const NS = "http://www.w3.org/2000/svg";

  function make(svg, name, attributes) {
    const made = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    svg.appendChild(made);
    return made;
  }

  for (const figure of root.querySelectorAll("figure.chart")) {
    const { label, x, at, curves } = JSON.parse(figure.dataset.curves);
    const svg = figure.querySelector("svg"), readout = figure.querySelector("output");
    const line = make(svg, "line", { class: "here", y1: 8, y2: svg.viewBox.baseVal.height - 36 });
    const dots = curves.map((curve) => make(svg, "circle", { class: "dot " + curve.role, r: 3.5 }));
    let chosen = null;

    // Text alone is set, so that no name can become markup.
    function word(text, role) {
      const made = document.createElement("span");
      made.textContent = text;
      if (role) made.className = role;
      return made;
    }

    function show(n) {
      chosen = n;
      figure.classList.toggle("shown", n !== null);
      if (n === null) { readout.replaceChildren(); return; }
      line.setAttribute("x1", x[n]); line.setAttribute("x2", x[n]);
      curves.forEach((curve, k) => {
        const y = curve.y[n];
        dots[k].style.display = y === null ? "none" : "";
        if (y !== null) { dots[k].setAttribute("cx", x[n]); dots[k].setAttribute("cy", y); }
      });
      readout.replaceChildren(
        word(label + " " + at[n]),
        ...curves.map((curve) => word(curve.name + ": " + curve.values[n], curve.role)));
    }

    function nearest(event) {
      const box = svg.getBoundingClientRect();
      const place = (event.clientX - box.left) / box.width * svg.viewBox.baseVal.width;
      let best = 0;
      for (let n = 1; n < x.length; n++) if (Math.abs(x[n] - place) < Math.abs(x[best] - place)) best = n;
      return best;
    }

    svg.addEventListener("pointermove", (event) => show(nearest(event)));
    svg.addEventListener("pointerdown", (event) => show(nearest(event)));
    figure.addEventListener("pointerleave", () => show(null));
    figure.addEventListener("blur", () => show(null));
    figure.addEventListener("keydown", (event) => {
      const last = x.length - 1, now = chosen === null ? last : chosen, far = Math.max(1, Math.round(last / 10));
      const next = { ArrowLeft: now - 1, ArrowRight: now + 1, PageUp: now + far, PageDown: now - far, Home: 0, End: last }[event.key];
      if (event.key === "Escape") show(null);
      else if (next !== undefined) { event.preventDefault(); show(Math.max(0, Math.min(last, next))); }
    });
  }
}
