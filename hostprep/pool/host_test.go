package pool

import "vmhuge/hostprep/hosttest"

const (
	oneNode    = hosttest.OneNode
	twoNodes   = hosttest.TwoNodes
	surplusOn0 = hosttest.SurplusOn0
)

var (
	fixture = hosttest.FromText
	write   = hosttest.WriteFile
	must    = hosttest.Must
	nr      = hosttest.NrHugepages
)
