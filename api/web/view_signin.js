// Sign in with a token.

import { el, field, newId } from "./dom.js";
import { during } from "./notices.js";
import { get } from "./api.js";
import { bearer, keep } from "./session.js";

export function show(root, { signedIn }) {
  const wrong = el("div", {});
  const token = el("input", { type: "password", autocomplete: "current-password",
    required: true, spellcheck: "false", name: "token", pattern: "[\\x21-\\x7e\\s]+",
    title: "The token as it was printed: letters, digits and signs, no spaces" });
  const stayId = newId("stay");
  const stay = el("input", { type: "checkbox", id: stayId });
  const submit = el("button", { class: "primary", type: "submit" }, "Sign in");
  const form = el("form", { class: "panel signin" },
    el("h2", {}, "Sign in"),
    el("p", {}, "This server asks for a token. Who runs it makes one for you with ",
      el("code", {}, "denoised token create NAME --owner OWNER --scope read,submit,train"), "."),
    field("Token", token),
    el("div", { class: "check" }, stay, el("label", { for: stayId },
      "Stay signed in on this computer")),
    wrong, el("div", { class: "row end" }, submit));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    during(submit, async () => {
      const text = token.value.trim();
      await get("/v1/me", { headers: { Authorization: `Bearer ${text}` } });
      if (text !== bearer()) keep(text, stay.checked);
      await signedIn();
    }, wrong);
  });
  root.append(form);
  token.focus();
}
