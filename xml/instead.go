package xml

// Instead puts the guest on other pages for one start: on smaller ones of the pool, or on
// transparent huge pages. The definition that counts is another one, so that nothing need
// be brought back.
func Instead(doc []byte, want Backing) ([]byte, error) {
	if !want.THP {
		return Rewrite(doc, want)
	}
	if Marked(doc) {
		var err error
		if doc, err = Revert(doc, want.Ours); err != nil {
			return nil, err
		}
	}
	doc, err := Drop(doc) // <hugepages> of the user's own as well
	if err != nil {
		return nil, err
	}
	return Rewrite(doc, want)
}
