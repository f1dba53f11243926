// Package nearest finds the word that was meant by one that there is not.
package nearest

import "fmt"

// Ask asks whether one of the words that there are was meant, for an error
// to end with; "" where none comes near.
func Ask(word string, words []string) string {
	best, meant := 1+(len(word)+1)/3, "" // a third of the letters may be wrong
	for _, w := range words {
		if d := Distance(word, w); d < best {
			best, meant = d, w
		}
	}
	if meant == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %s?)", meant)
}

// Distance is how many letters must be put in, taken out, changed, or swapped
// with the next one for a to become b.
func Distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
		for j := 1; j <= len(b); j++ {
			if i == 0 {
				rows[i][j] = j
				continue
			}
			change := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
