// Builds the page into ../bin/cockpit, as the package and the tests have it. The same sources
// and packages give the same bytes.
import { build } from "esbuild";
import { po } from "gettext-parser";
import fs from "node:fs";
import path from "node:path";
import { gzipSync } from "node:zlib";

const out = path.resolve("../bin/cockpit");
fs.rmSync(out, { recursive: true, force: true });
fs.mkdirSync(out, { recursive: true });

const { metafile } = await build({
    entryPoints: ["src/index.tsx"],
    outdir: out,
    bundle: true,
    minify: true,
    target: ["es2022"],
    charset: "utf8",
    legalComments: "none", // licences() has them all
    define: { "process.env.NODE_ENV": '"production"' },
    external: ["../../static/fonts/*"], // Cockpit's own
    loader: { ".woff2": "empty", ".svg": "empty", ".jpg": "empty" },
    metafile: true,
    logLevel: "warning",
});

for (const name of ["index.html", "manifest.json"])
    fs.copyFileSync(name, path.join(out, name));
fs.writeFileSync(path.join(out, "po.de.js"), catalogue("po/de.po"));
fs.writeFileSync(path.resolve("../bin/cockpit-licences"), licences());
for (const name of ["index.js", "index.css", "po.de.js"]) { // Cockpit serves NAME.gz for NAME
    const file = path.join(out, name);
    fs.writeFileSync(file + ".gz", gzipSync(fs.readFileSync(file), { level: 9 }));
    fs.rmSync(file);
}

/** Every text that the sources translate, and the manifest's. */
function texts() {
    const found = new Set([JSON.parse(fs.readFileSync("manifest.json", "utf8")).menu.index.label]);
    for (const name of fs.readdirSync("src")) {
        const source = fs.readFileSync(path.join("src", name), "utf8");
        for (const [, text] of source.matchAll(/(?:\b_|\bngettext)\(\s*("(?:[^"\\]|\\.)*")/g))
            found.add(JSON.parse(text));
    }
    return found;
}

/** A translation as the script that Cockpit loads for po.js. Fails unless it has each text, and no other. */
function catalogue(file) {
    const { headers, translations: { "": entries } } = po.parse(fs.readFileSync(file));
    const wanted = texts();
    const missing = [...wanted].filter(text => !entries[text]?.msgstr.every(Boolean));
    const unused = Object.keys(entries).filter(text => text && !wanted.has(text));
    if (missing.length + unused.length)
        throw new Error(`${file}: not translated: ${JSON.stringify(missing)}; translated, but in no source: ${JSON.stringify(unused)}`);
    const plural = /plural=([n0-9 !=<>?:&|()%]+);/.exec(headers["Plural-Forms"])[1];
    const body = Object.values(entries).filter(e => e.msgid).map(e => `${JSON.stringify(e.msgid)}:${JSON.stringify([null, ...e.msgstr])}`);
    return `cockpit.locale({"":{"language":${JSON.stringify(headers.Language)},"plural-forms":(n)=>Number(${plural})},${body.join(",\n")}});\n`;
}

/** The licences of the packages that the page has code or styles of. */
function licences() {
    const packages = new Set(Object.values(metafile.outputs).flatMap(({ inputs }) => Object.keys(inputs)).map(file => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1]).filter(Boolean));
    return [...packages].sort().map(name => {
        const dir = path.join("node_modules", name);
        const { version, license } = JSON.parse(fs.readFileSync(path.join(dir, "package.json"), "utf8"));
        const file = fs.readdirSync(dir).find(entry => /^licen[cs]e/i.test(entry));
        const text = file ? fs.readFileSync(path.join(dir, file), "utf8") : "";
        if (!text && !license)
            throw new Error(`${name} names no licence`);
        return `--- ${name} ${version}\n\nLicense: ${license}\n${text}\n`;
    }).join("");
}
