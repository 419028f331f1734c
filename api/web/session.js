// Who is signed in: the token, and what the server says about its owner.

const KEY = "denoised.token";
let token = sessionStorage.getItem(KEY) ?? localStorage.getItem(KEY) ?? "";
let me = null;

export function bearer() {
  return token;
}

export function keep(text, stay) {
  forget();
  token = text;
  (stay ? localStorage : sessionStorage).setItem(KEY, text);
}

export function forget() {
  token = "";
  me = null;
  sessionStorage.removeItem(KEY);
  localStorage.removeItem(KEY);
}

export function setMe(facts) {
  me = facts;
}

export function whoami() {
  return me;
}

/** Is it the signed-in owner's own?  Where nobody signs in, all is. */
export function mine(thing) {
  return !me || me.auth === "off" || thing.owner === undefined || thing.owner === me.owner;
}

/** May the owner do this?  A server that asks for no tokens allows everything. */
export function may(scope) {
  if (!me || me.auth === "off" || !Array.isArray(me.scopes)) return true;
  return me.scopes.includes(scope) || me.scopes.includes("admin");
}
