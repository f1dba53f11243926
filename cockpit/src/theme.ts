// Light or dark, as the user chose in Cockpit's own frame, or else as the browser prefers.

export function followTheme() {
    const prefersDark = matchMedia("(prefers-color-scheme: dark)");
    const apply = () => {
        const chosen = localStorage.getItem("shell:style") ?? "auto";
        const dark = chosen === "dark" || (chosen === "auto" && prefersDark.matches);
        document.documentElement.classList.toggle("pf-v6-theme-dark", dark);
    };
    window.addEventListener("storage", apply);
    window.addEventListener("cockpit-style", apply);
    prefersDark.addEventListener("change", apply);
    apply();
}
