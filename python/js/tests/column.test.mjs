// column(): what charts get, from tables as the server writes them.
import assert from "node:assert/strict";
import {test} from "node:test";
import * as arrow from "apache-arrow";
import {column, columns} from "../src/column.js";

function table(vectors) {
    return new arrow.Table(vectors);
}

test("numbers without nulls come as the table's own memory", () => {
    const values = Float64Array.of(1.5, 2.5);
    const got = column(table({x: arrow.makeVector(values)}), "x");
    assert.ok(got instanceof Float64Array);
    assert.equal(got.buffer, values.buffer);
});

test("64-bit integers become doubles", () => {
    const got = column(table({x: arrow.makeVector(BigInt64Array.of(1n, -5n))}), "x");
    assert.deepEqual(got, Float64Array.of(1, -5));
});

test("nulls of numbers become NaN", () => {
    const x = arrow.vectorFromArray([1, null, 3], new arrow.Int32());
    assert.deepEqual(column(table({x}), "x"), Float64Array.of(1, NaN, 3));
    const big = arrow.vectorFromArray([1n, null], new arrow.Int64());
    assert.deepEqual(column(table({big}), "big"), Float64Array.of(1, NaN));
});

for (const [unit, perMs] of [
    [arrow.TimeUnit.SECOND, 0.001],
    [arrow.TimeUnit.MILLISECOND, 1],
    [arrow.TimeUnit.MICROSECOND, 1000],
    [arrow.TimeUnit.NANOSECOND, 1e6],
]) {
    test(`times of unit ${unit} become milliseconds`, () => {
        const raw = BigInt64Array.of(BigInt(5000 * perMs), BigInt(-3000 * perMs));
        const type = new arrow.Timestamp(unit, null);
        const x = arrow.makeVector(arrow.makeData({type, length: 2, data: raw}));
        assert.deepEqual(column(table({x}), "x"), Float64Array.of(5000, -3000));
    });
}

test("dates become milliseconds, and null NaN", () => {
    const x = arrow.vectorFromArray([new Date(86400000), null], new arrow.DateDay());
    assert.deepEqual(column(table({x}), "x"), Float64Array.of(86400000, NaN));
});

test("text, truth and categories become plain arrays", () => {
    const t = table({
        text: arrow.vectorFromArray(["a", null], new arrow.Utf8()),
        truth: arrow.vectorFromArray([true, false]),
        kind: arrow.vectorFromArray(["u", "v"]), // a dictionary
    });
    assert.deepEqual(columns(t), {text: ["a", null], truth: [true, false], kind: ["u", "v"]});
});

test("categories that are numbers or times are numbers", () => {
    const years = new arrow.Dictionary(new arrow.Int64(), new arrow.Int8());
    const days = new arrow.Dictionary(new arrow.DateDay(), new arrow.Int32());
    const t = table({
        year: arrow.vectorFromArray([1952n, null, 1957n, 1952n], years),
        day: arrow.vectorFromArray([new Date(0), new Date(86400000), null, null], days),
    });
    assert.deepEqual(column(t, "year"), Float64Array.of(1952, NaN, 1957, 1952));
    assert.deepEqual(column(t, "day"), Float64Array.of(0, 86400000, NaN, NaN));
});

test("several batches are joined", () => {
    const one = table({x: arrow.makeVector(Int32Array.of(1, 2))});
    const two = table({x: arrow.makeVector(Int32Array.of(3))});
    assert.deepEqual(column(one.concat(two), "x"), Int32Array.of(1, 2, 3));
});

test("a column that is not there is an error that names those that are", () => {
    const t = table({x: arrow.makeVector(Int32Array.of(1))});
    assert.throws(() => column(t, "y"), /no column y; there are x/);
    assert.throws(() => column(t, 7), RangeError);
});
