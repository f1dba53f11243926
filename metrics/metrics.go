// Package metrics says in Prometheus' format what vmhuge sees: the pools, who
// holds what of them, the guests' RAM, and the hook. It is given functions that
// look, and changes nothing.
//
// Names and units: https://prometheus.io/docs/practices/naming/.
package metrics

import (
	"io"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"vmhuge/hostprep/ledger"
	"vmhuge/hostprep/pool"
)

// Sources are the functions that look. Each runs once at a time, however many
// ask.
type Sources struct {
	Pools  func() (pool.State, error)
	Memory func() (Memory, error)
	Claims func() ([]ledger.Claim, error)
	Guests func() ([]Guest, error) // with an error: those that could be read
	Hook   func() (Hook, error)
	// Failed hears of an error when it is not the one before.
	Failed func(collector string, err error)
}

// Exporter answers scrapes.
type Exporter struct{ registry *prometheus.Registry }

// New returns an exporter of a version of vmhuge.
func New(version string, s Sources) *Exporter {
	e := &Exporter{registry: prometheus.NewRegistry()}
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "vmhuge_build_info", Help: "1; the labels describe the build of vmhuge.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()}})
	build.Set(1)
	calls := newHookCalls()
	e.registry.MustRegister(build, sections{
		newSection("pools", s.Pools, s.Failed, showPools),
		newSection("memory", s.Memory, s.Failed, showMemory),
		newSection("claims", s.Claims, s.Failed, showClaims),
		newSection("guests", s.Guests, s.Failed, showGuests),
		newSection("hook", s.Hook, s.Failed, calls.show),
	})
	return e
}

// WriteText writes what there is to see, once.
func (e *Exporter) WriteText(w io.Writer) error {
	families, err := e.registry.Gather()
	for _, family := range families {
		if _, err := expfmt.MetricFamilyToText(w, family); err != nil {
			return err
		}
	}
	return err
}

// section is one part of a scrape.
type section struct {
	name string
	look func(out) outcome
}

// outcome is how a part went.
type outcome struct {
	took   time.Duration
	errors int64 // since the exporter began
	err    error
}

// newSection shows what read returns. With an error, show is given what could
// be read.
func newSection[T any](name string, read func() (T, error), failed func(string, error), show func(out, T, error)) section {
	r := &reading[T]{read: read, failed: func(err error) { failed(name, err) }, patience: patience}
	return section{name, func(o out) outcome {
		value, how := r.get()
		show(o, value, how.err)
		return how
	}}
}

var (
	scrapeSuccess  = newDesc("scrape_success", "1 if all of this part could be read.", "collector")
	scrapeDuration = newDesc("scrape_duration_seconds", "How long reading this part took.", "collector")
	scrapeErrors   = newDesc("scrape_errors_total", "How often this part could not be read.", "collector")
)

// sections are all parts, as the one collector of the registry.
type sections []section

// Describe says nothing: what there is to see is known once it is read.
func (sections) Describe(chan<- *prometheus.Desc) {}

// Collect reads all parts at once, so that the slowest says how long it takes.
func (parts sections) Collect(ch chan<- prometheus.Metric) {
	var wait sync.WaitGroup
	for _, s := range parts {
		wait.Add(1)
		go func() {
			defer wait.Done()
			o := out(ch)
			how := s.look(o)
			o.gauge(scrapeSuccess, truth(how.err == nil), s.name)
			o.gauge(scrapeDuration, how.took.Seconds(), s.name)
			o.metric(scrapeErrors, prometheus.CounterValue, float64(how.errors), s.name)
		}()
	}
	wait.Wait()
}

// out is where metrics go.
type out chan<- prometheus.Metric

func (o out) gauge(desc *prometheus.Desc, value float64, labels ...string) {
	o.metric(desc, prometheus.GaugeValue, value, labels...)
}

func (o out) metric(desc *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
	for i := range labels {
		labels[i] = strings.ToValidUTF8(labels[i], "?")
	}
	o <- prometheus.MustNewConstMetric(desc, kind, value, labels...)
}

func newDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("vmhuge_"+name, help, labels, nil)
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
