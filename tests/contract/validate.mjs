// Holds what a daemon was asked and answered against openapi.yaml, with Ajv for the schemas.
//   node validate.mjs openapi.yaml answers.jsonl
// Each line of answers.jsonl: {method, path, status, type, body, request_type, request}.
// An answer must be documented: its path, verb, status and media type, and a JSON body must fit
// its schema.  The body of a request that was accepted must fit, too.

import { readFileSync } from "node:fs";
import Ajv from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { parse } from "yaml";

const [contract, answers] = process.argv.slice(2);
const doc = parse(readFileSync(contract, "utf8"));

// No answer has members that the contract does not tell; what allOf puts together is closed
// where it is put together.
const parts = new Set();
function collect(node) {
    if (node === null || typeof node !== "object") return;
    Object.values(node).forEach(collect);
    for (const part of node.allOf ?? []) {
        parts.add(part);
        if (part.$ref !== undefined) parts.add(part.$ref.split("/").slice(1).reduce((at, key) => at[key], doc));
    }
    if (node.allOf !== undefined) node.unevaluatedProperties = false;
}
collect(doc);
function close(node) {
    if (node === null || typeof node !== "object") return;
    Object.values(node).forEach(close);
    if (node.properties !== undefined && node.type !== undefined && node.additionalProperties === undefined && !parts.has(node))
        node.additionalProperties = false;
}
close(doc);

const ajv = new Ajv({ strict: false, allErrors: true });
addFormats(ajv);
ajv.addSchema(doc, "contract");

const escape = (text) => text.replaceAll("~", "~0").replaceAll("/", "~1");
const compiled = new Map();
function fits(pointer, value) {
    if (!compiled.has(pointer))
        compiled.set(pointer, ajv.compile({ $ref: `contract#${pointer}` }));
    const check = compiled.get(pointer);
    return check(value) ? null : ajv.errorsText(check.errors.slice(0, 3));
}

// Literal segments come before {names}.
const paths = Object.keys(doc.paths)
    .map((template) => ({
        template,
        pattern: new RegExp(`^${template.replace(/[.]/g, "\\.").replace(/\{[^}]+\}/g, "[^/]+")}$`),
    }))
    .sort((a, b) => a.template.split("{").length - b.template.split("{").length);

// Where a $ref leads, as pointer and value.
function follow(pointer, value) {
    if (value?.$ref === undefined) return [pointer, value];
    const target = value.$ref.slice(1);
    return [target, target.split("/").slice(1).reduce((at, key) => at[key], doc)];
}

function check(line) {
    const path = line.path.split("?")[0];
    const found = paths.find(({ pattern }) => pattern.test(path));
    if (found === undefined) return line.status === 404 ? null : "the path is not in the contract";
    const method = line.method === "HEAD" ? "get" : line.method.toLowerCase();
    const operation = doc.paths[found.template][method];
    if (operation === undefined)
        return line.status === 405 ? null : `${line.method} ${found.template} is not in the contract`;
    const base = `/paths/${escape(found.template)}/${method}`;
    // What every request can meet is said once, at the top.
    const common = doc.components.responses.Problem;
    const documented = operation.responses[line.status];
    if (documented === undefined && !doc["x-common-statuses"].includes(line.status))
        return `status ${line.status} of ${line.method} ${found.template} is not in the contract`;
    const [where, response] =
        documented === undefined
            ? ["/components/responses/Problem", common]
            : follow(`${base}/responses/${line.status}`, documented);
    if (line.method === "HEAD" || line.type === "" || line.status === 304) return null;
    const media = line.type.split(";")[0].trim();
    if (response.content === undefined) return `a ${media} body of ${line.status} is not in the contract`;
    const kind = response.content[media] !== undefined ? media : "application/octet-stream";
    if (response.content[kind] === undefined) return `the media type ${media} is not in the contract`;
    if (!media.endsWith("json")) return null;
    const wrong = fits(`${where}/content/${escape(kind)}/schema`, line.body);
    if (wrong !== null) return `the answer: ${wrong}`;
    const body = operation.requestBody?.content?.["application/json"];
    if (line.status >= 300 || body === undefined || line.request === null) return null;
    const bad = fits(`${base}/requestBody/content/application~1json/schema`, line.request);
    return bad === null ? null : `the accepted request: ${bad}`;
}

let count = 0;
const faults = new Map();
const operations = new Set();
for (const text of readFileSync(answers, "utf8").split("\n")) {
    if (text === "") continue;
    const line = JSON.parse(text);
    const fault = check(line);
    count++;
    operations.add(`${line.method} ${paths.find(({ pattern }) => pattern.test(line.path.split("?")[0]))?.template}`);
    if (fault !== null) {
        const key = `${line.method} ${line.path.replace(/[0-9A-Z]{26}/g, "...")} ${line.status}: ${fault}`;
        faults.set(key, (faults.get(key) ?? 0) + 1);
    }
}
for (const [fault, times] of faults) console.log(`${times} x ${fault}`);
let silent = 0;
for (const [template, item] of Object.entries(doc.paths))
    for (const method of ["get", "post", "put", "patch", "delete", "options"])
        if (item[method] !== undefined && !operations.has(`${method.toUpperCase()} ${template}`)) {
            console.log(`never asked: ${method.toUpperCase()} ${template}`);
            silent++;
        }
console.log(`contract: ${count} answers, ${faults.size} kinds of fault, ${silent} operations never asked`);
process.exit(faults.size === 0 && count > 0 ? 0 : 1);
