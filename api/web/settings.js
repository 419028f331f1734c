// One setting of a method or filter as a control, from the server's own tables.

import { el, field, select } from "./dom.js";
import { value as number } from "./format.js";

function control(setting, standard) {
  if (setting.type === "boolean")
    return select([["true", "yes"], ["false", "no"]], String(standard));
  if (setting.values) return select(setting.values.map((v) => [v, v]), String(standard));
  const whole = setting.type === "integer";
  return el("input", { type: "number", value: String(standard), min: setting.minimum,
    max: setting.maximum, step: whole ? 1 : "any", inputmode: whole ? "numeric" : "decimal" });
}

function typed(setting, text) {
  if (setting.type === "boolean") return text === "true";
  return setting.values ? text : Number(text);
}

/** setting: {name, type, doc, minimum, maximum, values}. {node, name, value(), changed(), reset(standard)} */
export function settingInput(setting, standard, onChange) {
  let usual = String(standard);
  const input = control(setting, standard);
  input.addEventListener("change", () => onChange?.());
  const range = setting.minimum !== undefined
    ? ` From ${number(setting.minimum)} to ${number(setting.maximum)}.` : "";
  return {
    name: setting.name,
    node: field(setting.name, input, `${setting.doc}${range}`),
    value: () => typed(setting, input.value),
    changed: () => input.value !== "" && input.value !== usual,
    reset(next) {
      if (input.value === usual) input.value = String(next);
      usual = String(next);
    },
  };
}
