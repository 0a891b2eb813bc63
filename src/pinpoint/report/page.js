// Draws the figures in the colours of the theme: every "var(--x)" in them is a variable of page.css.
(() => {
  const specs = JSON.parse(document.getElementById("figures").textContent);
  const root = document.documentElement;

  const painted = (value, style) => {
    if (typeof value === "string") {
      return value.startsWith("var(") ? style.getPropertyValue(value.slice(4, -1)).trim() : value;
    }
    if (Array.isArray(value)) return value.map((item) => painted(item, style));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, painted(item, style)]));
  };

  const draw = (onPaper) => {
    const style = getComputedStyle(root);
    for (const [name, spec] of Object.entries(specs)) {
      const { data, layout } = painted(spec, style);
      const place = document.getElementById(`figure-${name}`);
      // What a sheet has between its margins, or half of it for two side by side.
      if (onPaper) layout.width = place.closest(".sides") ? 310 : 640;
      Plotly.react(place, data, layout, { responsive: !onPaper, displayModeBar: false, doubleClick: false });
    }
  };

  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw());

  // Paper is white, narrow, and cannot be clicked.
  let closed = [];
  addEventListener("beforeprint", () => {
    root.classList.add("printing");
    closed = [...document.querySelectorAll("details:not([open])")];
    for (const each of closed) each.open = true;
    draw(true);
  });
  addEventListener("afterprint", () => {
    root.classList.remove("printing");
    for (const each of closed) each.open = false;
    draw();
  });
})();
