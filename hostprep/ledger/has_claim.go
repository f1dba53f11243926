package ledger

import (
	"os"
	"slices"
	"strings"

	"vmhuge/internal/hostfs"
)

// HasClaims says whether the ledger has any claim. It takes no lock.
func HasClaims(root hostfs.Root) bool {
	dir, err := hostfs.Open(root.Path(claimsDir...), os.O_RDONLY, 0)
	if err != nil {
		return false
	}
	defer dir.Close()
	first, _ := dir.Readdirnames(1)
	return len(first) > 0
}

// HasClaim says whether the ledger has a claim of a guest. It takes no lock.
func HasClaim(root hostfs.Root, uuid string) bool {
	entries, _ := os.ReadDir(root.Path(claimsDir...))
	return slices.ContainsFunc(entries, func(e os.DirEntry) bool { return strings.HasPrefix(e.Name(), uuid+".") })
}
