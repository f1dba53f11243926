package integration

import "testing"

// TestMicroVMOneNode has tests of their own kernel, each with a few minutes of a machine that
// takes half a minute to boot.
func TestMicroVMOneNode(t *testing.T) {
	if !inMicroVM(t, machine{nodes: 1, nodeMiB: 2048}) {
		return
	}
	t.Run("could-make", couldMakeAndMakes)
	t.Run("collapse", collapseWhereMemoryIsInPieces)
	// KVM on an emulated processor, with which guests of its own never run: they are started
	// paused.
	t.Run("kvm", func(t *testing.T) { runFaults(t, sampled(t, kvmFaults)) })
	t.Run("size-and-min-size", func(t *testing.T) { runFaults(t, sizeAndMinSizeFaults) })
}
