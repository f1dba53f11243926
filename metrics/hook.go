package metrics

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"vmhuge/hostprep/hook"
)

// Hook is how the hook is, and the calls on record.
type Hook struct {
	Status hook.Status
	Events []hook.Event // oldest first
}

var (
	hookInstalled = newDesc("hook_installed", "1 if vmhuge's hook is installed.")
	hookReady     = newDesc("hook_ready", "1 if libvirt calls the hook at the next start of a guest.")
	hookLast      = newDesc("hook_last_call_timestamp_seconds", "Time of the hook's last call since boot.")
)

// hookCalls counts what the hook's log tells. The log forgets its oldest lines,
// and a counter must not fall: each event is counted when it is first seen.
type hookCalls struct {
	mu    sync.Mutex
	last  hook.Event // the newest that is counted
	count *prometheus.CounterVec
	why   *prometheus.CounterVec
	took  *prometheus.HistogramVec
}

func newHookCalls() *hookCalls {
	c := &hookCalls{
		count: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "vmhuge_hook_calls_total",
			Help: "Calls of the hook that did something, as far back as its log reaches."}, []string{"operation", "result"}),
		why: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "vmhuge_hook_refusals_total",
			Help: "Starts that the hook refused, by why the host could not give the pages."}, []string{"reason"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "vmhuge_hook_call_duration_seconds",
			Help: "How long libvirt waited for the hook.", Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}}, []string{"operation"}),
	}
	// All are counted from 0: increase() does not see the first failure of a series that
	// was not there before.
	for operation, results := range hook.Results {
		c.took.WithLabelValues(operation)
		for _, result := range results {
			c.count.WithLabelValues(operation, string(result))
		}
	}
	for _, reason := range hook.Reasons {
		c.why.WithLabelValues(string(reason))
	}
	return c
}

func (c *hookCalls) show(o out, h Hook, err error) {
	if err == nil {
		o.gauge(hookInstalled, truth(h.Status.Installed))
		o.gauge(hookReady, truth(h.Status.Ready))
		c.add(h.Events)
	}
	c.mu.Lock()
	last := c.last.Time
	c.mu.Unlock()
	if !last.IsZero() {
		o.gauge(hookLast, float64(last.UnixMicro())/1e6)
	}
	c.count.Collect(o)
	c.why.Collect(o)
	c.took.Collect(o)
}

// add counts the events behind the last one that was counted. Where the log has
// lost that, the time tells.
func (c *hookCalls) add(events []hook.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	first := slices.IndexFunc(events, func(e hook.Event) bool {
		return e.Time.Equal(c.last.Time) && e.UUID == c.last.UUID && e.Operation == c.last.Operation
	}) + 1
	for _, e := range events[first:] {
		if first == 0 && !e.Time.After(c.last.Time) {
			continue
		}
		c.count.WithLabelValues(e.Operation, string(e.Result)).Inc()
		if e.Result == hook.Refused {
			c.why.WithLabelValues(string(cmp.Or(e.Reason, hook.Fragmented))).Inc()
		}
		if e.Microseconds > 0 {
			c.took.WithLabelValues(e.Operation).Observe((time.Duration(e.Microseconds) * time.Microsecond).Seconds())
		}
		c.last = e
	}
}
