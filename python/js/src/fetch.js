import {tableFromIPC} from "apache-arrow";

const PARTS = ["columns", "rows", "filter", "downsample"];

// What the server refused, or could not be asked: `status` of HTTP (0: no answer),
// `reason` as a word, `message` for people.
export class FramecacheError extends Error {
    constructor(status, reason, message) {
        super(message);
        this.name = "FramecacheError";
        this.status = status;
        this.reason = reason;
    }
}

// Options of table(): what the server is asked, `signal` to give up, `route` to ask elsewhere.
function check(token, options) {
    if (typeof token !== "string" || token === "") {
        throw new FramecacheError(0, "token", "framecache.table: no token (is the store filled yet?)");
    }
    for (const name of Object.keys(options)) {
        if (!PARTS.includes(name) && name !== "signal" && name !== "route") {
            throw new FramecacheError(0, "parameter", `framecache.table: no option ${name}`);
        }
    }
}

// JSON in which a BigInt, as 64-bit integers are in a table, is a number with all its digits.
function json(asked) {
    const marked = JSON.stringify(asked, (_, value) =>
        typeof value === "bigint" ? `\u0000${value}\u0000` : value);
    return marked.replace(/"\\u0000(-?\d+)\\u0000"/g, "$1");
}

export function address(route, token, options) {
    const asked = {};
    for (const name of PARTS) {
        if (options[name] !== undefined && options[name] !== null) asked[name] = options[name];
    }
    const parameters = new URLSearchParams({token});
    if (Object.keys(asked).length > 0) parameters.set("q", json(asked));
    return `${route}?${parameters}`;
}

async function refused(response) {
    let told = {};
    try {
        told = await response.json();
    } catch {
        // Not ours: a proxy's page, or an error of the server.
    }
    const text = told.error || `the server answered ${response.status}`;
    return new FramecacheError(response.status, told.reason || "server", text);
}

async function answered(promise) {
    try {
        return await promise;
    } catch (error) {
        if (error.name === "AbortError" || error.name === "TimeoutError") throw error;
        throw new FramecacheError(0, "network", `no answer from the server: ${error.message}`);
    }
}

export async function fetchTable(route, token, options) {
    check(token, options);
    const response = await answered(fetch(address(route, token, options), {
        credentials: "same-origin",
        headers: {Accept: "application/vnd.apache.arrow.stream, application/json"},
        signal: options.signal,
    }));
    if (!response.ok) throw await refused(response);
    return tableFromIPC(new Uint8Array(await answered(response.arrayBuffer())));
}
