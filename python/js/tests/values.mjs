// Prints the values of a stream's columns, null where null, as JSON: what a browser sees.
//
//   node values.mjs < STREAM
import {readFileSync} from "node:fs";
import {tableFromIPC} from "apache-arrow";

function plain(value) {
    if (typeof value === "bigint") return Number(value);
    if (value === null || typeof value !== "object") return value;
    if (value instanceof Uint8Array) return [...value];
    return plainObject(value.toJSON ? value.toJSON() : value);
}

function plainObject(value) {
    if (value[Symbol.iterator]) return [...value].map(plain);
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
}

const table = tableFromIPC(readFileSync(0));
const columns = table.schema.fields.map((field, at) => [
    field.name, [...table.getChildAt(at)].map(plain)]);
console.log(JSON.stringify(Object.fromEntries(columns)));
