package top

import (
	"context"
	"errors"
	"io"

	tea "charm.land/bubbletea/v2"
)

// Run shows the view on a terminal until the user quits or the context ends,
// and leaves the terminal as it was. An error says what kept it from going on.
func Run(ctx context.Context, in io.Reader, out io.Writer, m *Model) error {
	// Signals are the context's; a panic of the model's is its error.
	p := tea.NewProgram(m, tea.WithContext(ctx), tea.WithInput(in), tea.WithOutput(out), tea.WithoutSignalHandler())
	m.send = func(msg tea.Msg) { p.Send(msg) }
	_, err := p.Run()
	if errors.Is(err, context.Canceled) || ctx.Err() != nil {
		err = nil
	}
	return errors.Join(m.err, err)
}
