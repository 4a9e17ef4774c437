// Bundles src/ and apache-arrow into one script that sets window.framecache, and beside it
// the licences of what is inside.
//
//   node build.mjs OUTPUT
import {readFileSync, readdirSync, writeFileSync} from "node:fs";
import {join} from "node:path";
import {fileURLToPath} from "node:url";
import {build} from "esbuild";

const here = fileURLToPath(new URL(".", import.meta.url));

function licences(inputs) {
    const names = new Set();
    for (const input of inputs) {
        const found = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input);
        if (found) names.add(found[1]);
    }
    return [...names].sort().map((name) => {
        const folder = join(here, "node_modules", name);
        const {version, license} = JSON.parse(readFileSync(join(folder, "package.json")));
        const texts = readdirSync(folder)
            .filter((file) => /^(licen[cs]e|notice|copyright)/i.test(file))
            .map((file) => readFileSync(join(folder, file), "utf8").trim());
        return [`==== ${name} ${version} (${license})`, ...texts].join("\n\n");
    });
}

const [output] = process.argv.slice(2);
if (!output) {
    console.error("build.mjs: name the file to write");
    process.exit(2);
}
const done = await build({
    entryPoints: [join(here, "src/index.js")],
    outfile: output,
    bundle: true,
    format: "iife",
    globalName: "framecache",
    target: ["es2020"],
    minify: true,
    metafile: true,
    banner: {js: "/* framecache, with apache-arrow: licences in framecache.js.txt */"},
    logLevel: "warning",
});
writeFileSync(`${output}.txt`, licences(Object.keys(done.metafile.inputs)).join("\n\n\n") + "\n");
