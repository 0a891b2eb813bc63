// The head map by pointer and by keyboard, and what a chosen head looks at.
(() => {
  const map = document.getElementById("figure-heads");
  const around = document.getElementById("head-map");
  const told = document.getElementById("head-told");
  const kept = document.getElementById("looks");
  const looks = kept ? JSON.parse(kept.textContent) : null;
  const [heat] = JSON.parse(document.getElementById("figures").textContent).heads.data;
  const layers = heat.z.length;
  const heads = heat.z[0].length;
  const name = (layer, head) => `L${layer}.H${head}`;
  const percent = (share) => `${(100 * share).toFixed(1).replace("-", "−")} %`;
  let at = [0, 0];

  // The map's own words, which are markup for plotly, as plain text.
  const words = (layer, head) => {
    const parsed = new DOMParser().parseFromString(heat.text[layer][head].replaceAll("<br>", "; "), "text/html");
    return parsed.body.textContent;
  };
  const tell = (layer, head) => {
    told.textContent = words(layer, head) + (looks?.heads[name(layer, head)] ? "; Enter or a click shows where it looks" : "");
  };
  const frame = (shown) => {
    const [layer, head] = at;
    const line = { color: getComputedStyle(document.documentElement).getPropertyValue("--accent").trim(), width: 3 };
    const box = { type: "rect", x0: head - 0.5, x1: head + 0.5, y0: layer - 0.5, y1: layer + 0.5, line };
    Plotly.relayout(map, { shapes: shown ? [box] : [] });
  };

  const text = document.getElementById("looking-text");
  const spoken = document.getElementById("looking-told");
  const buttons = [...document.querySelectorAll("[data-head]")];

  const strongest = (weights) => {
    const order = weights.map((_, place) => place).sort((a, b) => weights[b] - weights[a]);
    return order.slice(0, 3).filter((place) => weights[place] >= 10).map((place) => `“${looks.tokens[place].trim()}” ${percent(weights[place] / 1000)}`);
  };
  const choose = (chosen) => {
    const found = looks?.heads[chosen];
    if (!found) {
      if (spoken) spoken.textContent = `${chosen}: kept for the tuned and the strongest heads alone.`;
      return;
    }
    for (const button of buttons) button.setAttribute("aria-pressed", button.dataset.head === chosen);
    const { weights, share } = found;
    const [begin, end] = looks.apart;
    // The very first token takes what a head has no use for; where it is here, it must not pale the others.
    const most = Math.max(1, ...(looks.skipped ? weights : weights.slice(1)));
    const here = weights.slice(begin, end).reduce((sum, weight) => sum + weight, 0) / 1000;
    text.replaceChildren(...looks.tokens.map((token, place) => {
      const span = document.createElement("span");
      span.textContent = token;
      span.title = percent(weights[place] / 1000);
      span.style.setProperty("--look", Math.min(1, weights[place] / most).toFixed(3));
      if (place >= begin && place < end) span.className = "apart";
      return span;
    }));
    spoken.textContent = `${chosen} looks most at ${strongest(weights).join(", ")}. On the underlined tokens lie `
      + `${percent(here)} of its attention here, and ${percent(share)} on average over ${looks.pairs} dialogues.`;
  };

  around.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [1, 0], ArrowDown: [-1, 0] };
    const step = steps[event.key];
    if (step) {
      at = [Math.min(layers - 1, Math.max(0, at[0] + step[0])), Math.min(heads - 1, Math.max(0, at[1] + step[1]))];
      frame(true);
      tell(...at);
    } else if (event.key === "Enter" || event.key === " ") {
      choose(name(...at));
    } else {
      return;
    }
    event.preventDefault();
  });
  around.addEventListener("focus", () => {
    if (!around.matches(":focus-visible")) return;
    frame(true);
    tell(...at);
  });
  around.addEventListener("blur", () => frame(false));
  map.on("plotly_hover", ({ points: [point] }) => tell(point.y, point.x));
  map.on("plotly_click", ({ points: [point] }) => {
    at = [point.y, point.x];
    frame(around.matches(":focus-visible"));
    tell(...at);
    choose(name(...at));
  });
  for (const button of buttons) button.addEventListener("click", () => choose(button.dataset.head));

  if (looks) {
    document.getElementById("looking").hidden = false;
    const [first] = Object.keys(looks.heads);
    const [, layer, head] = first.match(/^L(\d+)\.H(\d+)$/);
    at = [Number(layer), Number(head)];
    choose(first);
  }
})();
