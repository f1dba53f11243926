package xml

import (
	"bytes"
	"flag"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// More domain XML, such as the tests of libvirt's source package:
//
//	apt-get source --download-only libvirt && tar xf libvirt_*.orig.tar.xz
//	go test ./xml -run TestChains -args -corpus $PWD/libvirt-9.0.0/tests
var corpus = flag.String("corpus", "testdata/domains", "the `FOLDER` of the documents for TestChains")

// chain rewrites a document as each byte wishes, one after the other, and takes
// all of it back; a wish that is refused changes nothing.
func chain(t *testing.T, doc []byte, wishes []byte) (done int) {
	t.Helper()
	now := doc
	for _, b := range wishes {
		want := wish(b)
		want.Usual = b>>6 == 3
		out, err := Rewrite(now, want)
		if err != nil {
			continue
		}
		now = out
		done++
	}
	back, err := Revert(now, false)
	if err != nil || !bytes.Equal(back, doc) {
		t.Errorf("%x: %v\n%s\nbecame\n%s\nand then\n%s", wishes, err, doc, now, back)
	}
	return done
}

func TestChains(t *testing.T) {
	documents, changed, seed := 0, 0, uint64(0)
	err := filepath.WalkDir(*corpus, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".xml") {
			return err
		}
		doc, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if _, err := parse(doc); err != nil || Marked(doc) {
			return nil // no domain
		}
		documents++
		random := rand.New(rand.NewPCG(seed, 0))
		seed++
		done := 0
		for range 12 {
			wishes := make([]byte, 1+random.IntN(5))
			for i := range wishes {
				wishes[i] = byte(random.Uint32())
			}
			done += chain(t, doc, wishes)
		}
		if done > 0 {
			changed++
		}
		if t.Failed() {
			t.Fatal(path)
		}
		return nil
	})
	t.Logf("%d documents, of which %d can be put on huge pages", documents, changed)
	if err != nil || documents == 0 {
		t.Errorf("%d documents in %s: %v", documents, *corpus, err)
	}
}

func TestChainsOfOddDocuments(t *testing.T) {
	for name, doc := range odd {
		t.Run(name, func(t *testing.T) {
			for a := range 64 {
				chain(t, []byte(doc), []byte{byte(a), byte(a * 7), byte(a * 13), byte(a * 29)})
			}
		})
	}
}

func FuzzChains(f *testing.F) {
	for _, doc := range odd {
		f.Add([]byte(doc), []byte{0, 1})
		f.Add([]byte(doc), []byte{0x0C, 0x01, 0x4A})
	}
	f.Fuzz(func(t *testing.T, doc, wishes []byte) {
		if d, err := parse(doc); err != nil || d.root.child("metadata").child(mark) != nil || len(wishes) > 8 {
			return
		}
		chain(t, doc, wishes)
	})
}

// What a document of an early version has for a mark, or has not.
func TestChainsOfEarlyDocuments(t *testing.T) {
	const plain = "<domain><memory unit='GiB'>2</memory></domain>"
	for name, early := range map[string]string{
		"without a mark":     "<domain><memory unit='GiB'>2</memory><memoryBacking><hugepages><page size='2048' unit='KiB'/></hugepages></memoryBacking></domain>",
		"with an empty note": "<domain><metadata><vmhuge:former xmlns:vmhuge='urn:vmhuge:1'><vmhuge:was at='hugepages'></vmhuge:was><vmhuge:was at='source' now='memfd'></vmhuge:was></vmhuge:former></metadata><memory unit='GiB'>2</memory><memoryBacking><hugepages><page size='2048' unit='KiB'/></hugepages><source type='memfd'/></memoryBacking></domain>",
		"transparent":        "<domain><metadata><vmhuge:former xmlns:vmhuge='urn:vmhuge:1' backing='thp'><vmhuge:was at='allocation' now='immediate'></vmhuge:was></vmhuge:former></metadata><memory unit='GiB'>2</memory><memoryBacking><allocation mode='immediate'/></memoryBacking></domain>",
	} {
		for _, want := range append(backings, Backing{Usual: true, Keep: true}) {
			want.Ours = true
			out, err := Rewrite([]byte(early), want)
			if err != nil {
				t.Errorf("%s: %+v: %v", name, want, err)
				continue
			}
			if back, err := Revert(out, true); err != nil || string(back) != plain {
				t.Errorf("%s: %+v: %v\n%s\nfrom\n%s", name, want, err, back, out)
			}
		}
	}
	own := "<domain><memory unit='GiB'>2</memory><memoryBacking><hugepages/></memoryBacking></domain>"
	if back, err := Revert([]byte(own), false); err != nil || string(back) != own {
		t.Errorf("the user's <hugepages> became %s, %v", back, err)
	}
}
