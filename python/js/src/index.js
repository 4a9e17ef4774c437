// window.framecache: frames of the cache as Arrow tables, in clientside callbacks.
//
//   const table = await framecache.table(token, {columns: ["time_hour", "dep_delay"],
//                                                rows: [0, 1000],
//                                                filter: {carrier: "UA", month: [1, 2],
//                                                         dep_delay: {min: 0, max: 60}},
//                                                downsample: {x: "time_hour", y: "dep_delay",
//                                                             points: 2000}});
//   const figure = {data: [{type: "scattergl", x: framecache.column(table, "time_hour"),
//                           y: framecache.column(table, "dep_delay")}]};

import {FramecacheError, fetchTable} from "./fetch.js";
import {column, columns} from "./column.js";

// The page says where the route is: init() writes it on the script's tag.
const script = typeof document === "undefined" ? null : document.currentScript;
const route = (script && script.dataset.route) || "/_framecache";

export function table(token, options = {}) {
    return fetchTable(options.route || route, token, options);
}

export {FramecacheError, column, columns};
