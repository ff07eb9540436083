// Moves the figures that companion.notebook.explore baked into a page: no kernel, no network.
(() => {
  "use strict";

  const unpack = async (payload) => {
    const bytes = Uint8Array.from(atob(payload), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  };

  const start = (figure) => {
    const picture = figure.querySelector(".explore-frame");
    const inputs = [...figure.querySelectorAll("input[type=range]")];
    const link = figure.querySelector(".explore-buttons a");
    const texts = inputs.map((input) => JSON.parse(input.dataset.texts));
    let payload = null; // a promise once asked for
    let frames = null;
    let shown = null;

    const index = (input) => Math.round((input.value - input.min) / input.step);
    const place = (input, i) => {
      // a multiple of the step without the noise of floating point: the browser snaps to it
      input.value = Number((Number(input.min) + i * Number(input.step)).toPrecision(12));
    };
    const load = () => {
      payload ??= unpack(figure.querySelector(".explore-payload").textContent).then((data) => {
        frames = data;
      });
      return payload;
    };

    const paint = () => {
      const number = inputs.reduce((n, input, k) => n * texts[k].length + index(input), 0);
      if (number === shown) return;
      shown = number;
      picture.innerHTML = frames.frames[number].map((line) => frames.pool[line]).join("\n");
      figure.dataset.frame = number;
    };
    const update = () => {
      inputs.forEach((input, k) => {
        const text = texts[k][index(input)];
        input.setAttribute("aria-valuetext", text);
        input.nextElementSibling.value = text;
      });
      const at = inputs.map((input, k) => `${input.name}=${encodeURIComponent(texts[k][index(input)])}`);
      link.hash = `${figure.id}:${at.join("&")}`;
      if (frames) paint();
      else load().then(paint);
    };
    const restore = () => {
      const [id, at] = decodeURI(location.hash.slice(1)).split(/:(.*)/s);
      if (id !== figure.id || !at) return;
      for (const [name, text] of new URLSearchParams(at)) {
        const k = inputs.findIndex((input) => input.name === name);
        const i = k < 0 ? -1 : texts[k].indexOf(text);
        if (i >= 0) place(inputs[k], i);
      }
      update();
      figure.scrollIntoView({ block: "center" });
    };

    inputs.forEach((input) => input.addEventListener("input", update));
    figure.querySelector("button").addEventListener("click", () => {
      inputs.forEach((input) => place(input, Number(input.dataset.start)));
      update();
    });
    // Unpacking takes a moment: begin when a hand or the keyboard comes near.
    for (const event of ["pointerenter", "focusin", "touchstart"]) {
      figure.addEventListener(event, load, { once: true, passive: true });
    }
    window.addEventListener("hashchange", restore);
    restore();
  };

  // The theme makes code that scrolls reachable by keyboard, but may measure it too early.
  window.addEventListener("load", () => window.dispatchEvent(new Event("resize")));

  const startAll = () => document.querySelectorAll("figure.explore[id]").forEach(start);
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", startAll);
  else startAll();
})();
