module a.invalid/noquery

go 1.24.0

require github.com/charmbracelet/lipgloss v1.1.0
