package slips

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"vmhuge/internal/lazyregexp"
	"vmhuge/internal/pages"
)

var (
	leadingNumber = lazyregexp.New(`^[0-9]+`)
	amountOf      = lazyregexp.New(`^[0-9]+[KMGTkmgt]([iI]?[bB])?$`)
	separated     = lazyregexp.New(`^[0-9]{1,3}([.,'_][0-9]{3})+$`)
)

// meantCount returns how many pages of a size are meant by what stands where a count
// belongs: an amount of memory, 8G, or a number with separators, 1,024. amount is 0 for
// such a number. Pages that do not hold the amount exactly are not what is meant.
func meantCount(text string, size pages.Size) (n int64, amount pages.Size, ok bool) {
	if separated.Get().MatchString(text) {
		n, err := strconv.ParseInt(strings.NewReplacer(".", "", ",", "", "'", "", "_", "").Replace(text), 10, 62)
		return n, 0, err == nil
	}
	if !amountOf.Get().MatchString(text) || size <= 0 {
		return 0, 0, false
	}
	amount = pages.Memparse(text)
	if amount < size || amount%size != 0 || amount > 64*1024*pages.Size1GiB {
		return 0, 0, false
	}
	return int64(amount / size), amount, true
}

// rightCount is meantCount as the count that belongs there, or the text as it stands.
func rightCount(text string, size pages.Size) string {
	if n, _, ok := meantCount(text, size); ok {
		return strconv.FormatInt(n, 10)
	}
	return text
}

// wrongCount is about the value of hugepages= that has more than digits where a count
// belongs: the kernel reads the digits, and nothing that follows (hugepages_setup() in
// mm/hugetlb.c). size is that of the pages it counts; 0: not known.
func (k kernel) wrongCount(word, value string, size pages.Size) Slip {
	var (
		rights      []string
		read, total int64 // pages: of the first wrong count, and of all that are meant
		wrong       string
		node        bool
		known       = size > 0
	)
	parts := []string{value}
	if strings.Contains(value, ":") {
		parts = strings.Split(value, ",")
	}
	for _, part := range parts {
		on, count, named := strings.Cut(part, ":")
		if !named {
			on, count = "", part
		}
		digits := leadingNumber.Get().FindString(count)
		n, _ := strconv.ParseInt(digits, 10, 62)
		if digits != count {
			if wrong == "" {
				wrong, read, node = count, n, named
			}
			var ok bool
			if n, _, ok = meantCount(count, size); !ok {
				known = false
			}
		}
		total += n
		right := strconv.FormatInt(n, 10)
		if named {
			right = on + ":" + right
		}
		rights = append(rights, right)
	}
	slip := Slip{Word: word, Why: "has more than a number as its count", Right: "hugepages=N, a number of pages"}
	unit := amountOf.Get().MatchString(wrong)
	switch {
	case unit:
		slip.Why = "has a unit, but is a count"
	case separated.Get().MatchString(wrong):
		slip.Why = "has a separator in its count"
	}
	reads := pages.Count(read, size)
	if size <= 0 {
		reads = strconv.FormatInt(read, 10) + " " + pages.Plural(int(read), "page")
	}
	slip.Why += ": the kernel reads " + reads
	if node {
		slip.Why += " and stops there"
	}
	if !known {
		return slip
	}
	slip.Right = "hugepages=" + strings.Join(rights, ",")
	if !unit {
		return slip
	}
	amount := pages.Size(total) * size
	if slip.Works = len(parts) == 1 && total == read; slip.Works {
		slip.Why += fmt.Sprintf(", which are the %s that it names", amount)
		return slip
	}
	slip.Right += fmt.Sprintf(" for %s in pages of %s", amount, size)
	if gib := pages.Size1GiB; size != gib && len(parts) == 1 && !node && amount%gib == 0 && slices.Contains(k.Sizes, gib) {
		slip.Right += fmt.Sprintf(", or hugepagesz=1G hugepages=%d", amount/gib)
	}
	return slip
}
