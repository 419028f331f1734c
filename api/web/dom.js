// Elements from plain data. Text always goes in as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, props, children) {
  for (const [key, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "class") node.setAttribute("class", value);
    else if (key === "data") Object.assign(node.dataset, value);
    else if (key === "value" || key === "checked" || key === "disabled" || key === "selected")
      node[key] = value;
    else node.setAttribute(key, value === true ? "" : String(value));
  }
  node.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false));
  return node;
}

/** el("p", {class: "note"}, "text", child, [more]) */
export function el(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

export function svg(tag, props, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

export function clear(node, ...children) {
  node.replaceChildren(...children.flat(Infinity).filter(Boolean));
  return node;
}

let serial = 0;
/** A fresh id, to tie a label or a description to its control. */
export function newId(stem) {
  serial += 1;
  return `${stem}-${serial}`;
}

/** A control under its label, with a hint in words. */
export function field(label, control, hint) {
  if (!control.id) control.id = newId("f");
  const parts = [el("label", { for: control.id }, label), control];
  if (hint) {
    const id = newId("h");
    control.setAttribute("aria-describedby", id);
    parts.push(el("p", { class: "hint", id }, hint));
  }
  return el("div", { class: "field" }, parts);
}

export function button(label, onclick, props) {
  return el("button", { type: "button", onclick, ...props }, label);
}

export function select(options, value, props) {
  const node = el("select", props, options.map(([v, text]) => el("option", { value: v }, text)));
  if (value !== undefined && value !== null) node.value = value;
  return node;
}

/** Leaves a focused or unchanged list alone: replaces children only when `key` changed. */
export function refresh(node, key, make) {
  if (node.dataset.key === key) return;
  node.dataset.key = key;
  clear(node, make());
}
