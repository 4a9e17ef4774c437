import {DataType, TimeUnit} from "apache-arrow";

// Units in a millisecond.
const PER_MS = {
    [TimeUnit.SECOND]: 1e-3,
    [TimeUnit.MILLISECOND]: 1,
    [TimeUnit.MICROSECOND]: 1e3,
    [TimeUnit.NANOSECOND]: 1e6,
};

function isNumber(type) {
    return DataType.isInt(type) || DataType.isFloat(type);
}

function isTime(type) {
    return DataType.isTimestamp(type) || DataType.isTime(type) || DataType.isDuration(type);
}

function isDrawn(type) {
    return isNumber(type) || isTime(type) || DataType.isDate(type);
}

// A column as charts take it. Numbers: a typed array, without a copy where there is one
// batch and no null; 64-bit integers become doubles, nulls NaN. Times: milliseconds (since
// 1970). Anything else: a plain array.
export function column(table, name) {
    const vector = typeof name === "number" ? table.getChildAt(name) : table.getChild(name);
    if (!vector) {
        const names = table.schema.fields.map((field) => field.name).join(", ");
        throw new RangeError(`framecache.column: no column ${name}; there are ${names}`);
    }
    return taken(vector);
}

function taken(vector) {
    const type = vector.type;
    if (DataType.isDictionary(type) && isDrawn(type.dictionary)) return looked(vector);
    if (isNumber(type)) {
        const wide = DataType.isInt(type) && type.bitWidth === 64;
        if (!wide && vector.nullCount === 0) return vector.toArray();
        return doubles(vector, 1);
    }
    if (isTime(type)) return doubles(vector, PER_MS[type.unit]);
    if (DataType.isDate(type)) return each(vector);
    return Array.from(vector);
}

export function columns(table) {
    const names = table.schema.fields.map((field) => field.name);
    return Object.fromEntries(names.map((name, at) => [name, column(table, at)]));
}

// The raw values of all batches as doubles, divided: Number(BigInt) is the one conversion.
function doubles(vector, divisor) {
    const out = new Float64Array(vector.length);
    let at = 0;
    for (const data of vector.data) {
        const values = data.values;
        for (let row = 0; row < data.length; row++) {
            out[at + row] = Number(values[row]) / divisor;
        }
        if (data.nullCount > 0) blank(data, out, at);
        at += data.length;
    }
    return out;
}

// Numbers and times by their codes in a dictionary, which is read once.
function looked(vector) {
    const out = new Float64Array(vector.length);
    let at = 0;
    for (const data of vector.data) {
        const values = taken(data.dictionary);
        for (let row = 0; row < data.length; row++) out[at + row] = values[data.values[row]];
        if (data.nullCount > 0) blank(data, out, at);
        at += data.length;
    }
    return out;
}

function blank(data, out, at) {
    for (let row = 0; row < data.length; row++) {
        if (!data.getValid(row)) out[at + row] = NaN;
    }
}

// Dates: Arrow's own getter gives milliseconds.
function each(vector) {
    const out = new Float64Array(vector.length);
    for (let row = 0; row < vector.length; row++) {
        const value = vector.get(row);
        out[row] = value === null ? NaN : Number(value);
    }
    return out;
}
