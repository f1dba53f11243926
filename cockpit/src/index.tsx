import "@patternfly/react-core/dist/styles/base.css";
import "@patternfly/react-styles/css/components/Table/table.css";
import "@patternfly/react-styles/css/components/Table/table-grid.css";
import "./index.css";

import { createRoot } from "react-dom/client";
import { App } from "./app";
import { followTheme } from "./theme";

document.documentElement.lang = cockpit.language.replace("_", "-");
followTheme();
createRoot(document.getElementById("app")!).render(<App />);
