// table(): the request that is made, and what becomes of each answer.
import assert from "node:assert/strict";
import {createServer} from "node:http";
import {after, before, test} from "node:test";
import {makeVector, Table, tableToIPC} from "apache-arrow";
import {address, fetchTable} from "../src/fetch.js";

const stream = tableToIPC(new Table({x: makeVector(Int32Array.of(1, 2))}), "stream");
let asked = [];
let answer = null;
let route = "";
const server = createServer((request, response) => {
    asked.push(new URL(request.url, "http://localhost").searchParams);
    response.writeHead(answer.status, answer.headers);
    if (answer.cut) response.write(answer.body, () => response.destroy());
    else response.end(answer.body);
});

before(async () => {
    await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
    route = `http://127.0.0.1:${server.address().port}/_framecache`;
});
after(() => server.close());

test("the answer's stream becomes a table", async () => {
    answer = {status: 200, headers: {}, body: stream};
    const table = await fetchTable(route, "t+/=", {columns: ["ü"], rows: [0, null]});
    assert.deepEqual([...table.getChild("x")], [1, 2]);
    const parameters = asked.pop();
    assert.equal(parameters.get("token"), "t+/=");
    assert.deepEqual(JSON.parse(parameters.get("q")), {columns: ["ü"], rows: [0, null]});
});

test("no option, no parameter; dates are written as ISO 8601", () => {
    assert.equal(address("/r", "t", {columns: null}), "/r?token=t");
    const filter = {time: {min: new Date(0)}};
    const q = new URLSearchParams(address("/r", "t", {filter}).split("?")[1]).get("q");
    assert.equal(q, '{"filter":{"time":{"min":"1970-01-01T00:00:00.000Z"}}}');
});

test("64-bit integers are written with all their digits", () => {
    const filter = {id: [2n ** 60n + 1n, -5n], text: "5n"};
    const q = new URLSearchParams(address("/r", "t", {filter}).split("?")[1]).get("q");
    assert.equal(q, '{"filter":{"id":[1152921504606846977,-5],"text":"5n"}}');
});

test("a refusal is an error with the server's status, reason and words", async () => {
    const body = JSON.stringify({error: "no column 'y'", reason: "column"});
    answer = {status: 400, headers: {"Content-Type": "application/json"}, body};
    await assert.rejects(fetchTable(route, "t", {}), {
        name: "FramecacheError", status: 400, reason: "column", message: "no column 'y'"});
    answer = {status: 502, headers: {}, body: "<html>"};
    await assert.rejects(fetchTable(route, "t", {}), {status: 502, reason: "server"});
});

test("without a token or with an unknown option nothing is asked", async () => {
    asked = [];
    for (const token of [null, undefined, "", 7, {}]) {
        await assert.rejects(fetchTable(route, token, {}), {reason: "token"});
    }
    await assert.rejects(fetchTable(route, "t", {colums: []}), /no option colums/);
    assert.deepEqual(asked, []);
});

test("no answer, or half of one, is an error without a status", async () => {
    answer = {status: 200, headers: {}, body: stream.slice(0, 40), cut: true};
    const unheard = {name: "FramecacheError", status: 0, reason: "network"};
    await assert.rejects(fetchTable(route, "t", {}), unheard);
    await assert.rejects(fetchTable("http://127.0.0.1:1/_framecache", "t", {}), unheard);
});

test("a signal gives up", async () => {
    await assert.rejects(fetchTable(route, "t", {signal: AbortSignal.abort()}), {
        name: "AbortError"});
});
