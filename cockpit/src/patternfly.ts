// The components of PatternFly that the page is made of: from the whole library, the styles of all
// would come along.

export * from "@patternfly/react-core/dist/esm/components/Alert";
export * from "@patternfly/react-core/dist/esm/components/Breadcrumb";
export * from "@patternfly/react-core/dist/esm/components/Button";
export * from "@patternfly/react-core/dist/esm/components/Card";
export * from "@patternfly/react-core/dist/esm/components/Checkbox";
export * from "@patternfly/react-core/dist/esm/components/DescriptionList";
export * from "@patternfly/react-core/dist/esm/components/EmptyState";
export * from "@patternfly/react-core/dist/esm/components/ExpandableSection";
export * from "@patternfly/react-core/dist/esm/components/Form";
export * from "@patternfly/react-core/dist/esm/components/FormSelect";
export * from "@patternfly/react-core/dist/esm/components/Label";
export * from "@patternfly/react-core/dist/esm/components/Modal";
export * from "@patternfly/react-core/dist/esm/components/Nav";
export * from "@patternfly/react-core/dist/esm/components/Page";
export * from "@patternfly/react-core/dist/esm/components/Spinner";
export * from "@patternfly/react-core/dist/esm/components/TextArea";
export * from "@patternfly/react-core/dist/esm/components/TextInput";
export * from "@patternfly/react-core/dist/esm/components/Title";
export * from "@patternfly/react-core/dist/esm/layouts/Flex";
