package pages

import "errors"

// IfShort is what a guest is started on where the host has too few of its pages: pages of
// this size, or IfShortTHP; 0: nothing, the start fails.
type IfShort Size

// IfShortTHP is on transparent huge pages.
const IfShortTHP IfShort = -1

// ParseIfShort reads fail, thp, or a page size.
func ParseIfShort(text string) (IfShort, error) {
	switch text {
	case "fail":
		return 0, nil
	case string(THP):
		return IfShortTHP, nil
	}
	size, err := ParseSize(text)
	if err != nil {
		return 0, errors.New("write it as fail, thp or a page size such as 2M")
	}
	return IfShort(size), nil
}

func (s IfShort) String() string {
	switch s {
	case 0:
		return "fail"
	case IfShortTHP:
		return string(THP)
	}
	return SizeWord(Size(s))
}

// Words is what the guest is put on.
func (s IfShort) Words() string {
	if s == IfShortTHP {
		return "transparent huge pages"
	}
	return "pages of " + Size(s).String()
}

// MarshalText writes it as a user does, for JSON.
func (s IfShort) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (s *IfShort) UnmarshalText(text []byte) (err error) {
	*s, err = ParseIfShort(string(text))
	return err
}
