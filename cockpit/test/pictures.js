// Takes the pictures in docs/: each place of the page, light and dark, into the folder $PICTURES.
import { execFileSync } from "node:child_process";
import { close, virsh, visit } from "./browser.js";

const { ROOT, PICTURES } = process.env;
const web1 = await virsh("domuuid", "web1");
const places = {
    overview: ["", "Transparent huge pages"],
    guests: ["guests", "web1"],
    guest: ["guests/" + web1, "It runs."],
    host: ["host", "Hook calls"],
    explain: ["explain", "What libvirt or QEMU said"],
};
for (const scheme of ["light", "dark"]) {
    for (const [name, [at, said]] of Object.entries(places)) {
        const v = await visit(ROOT, { at, scheme, width: 1100, height: 700 });
        await v.says(said);
        if (name === "overview")
            await v.says("What is fine");
        if (name === "explain") {
            await v.page.type("#said", "unable to map backing store for guest RAM: Cannot allocate memory");
            await v.press("Explain");
            await v.says("What to do:");
        }
        const height = await v.page.$eval("main", main => main.scrollHeight); // the whole place
        await v.page.setViewport({ width: 1100, height: Math.min(height + 48, 1200) });
        const file = `${PICTURES}/cockpit-${name}-${scheme}.png`;
        await v.page.screenshot({ path: file });
        execFileSync("convert", [file, "+dither", "-colors", "128", "PNG8:" + file]);
        await v.leave();
    }
}
await close();
