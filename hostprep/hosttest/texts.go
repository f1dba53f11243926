package hosttest

const AppArmor = "-- sys/module/apparmor/parameters/enabled --\nY\n-- etc/apparmor.d/abstractions/libvirt-qemu --\n  include if exists <local/abstractions/libvirt-qemu>\n"

const Zoneinfo = `Node 0, zone      DMA
  per-node stats
      nr_inactive_anon 285982
  pages free     3840
        boost    0
        min      29
        low      36
        high     43
        spanned  4095
        present  3998
        managed  3840
        protection: (0, 3019, 24103, 24103, 24103)
      nr_free_pages 3840
  pagesets
    cpu: 0
              count:    0
              high:     2360
              batch:    1
  vm stats threshold: 4
  start_pfn:           1
Node 0, zone   Normal
  pages free     850000
        high     16000
        spanned  5505024
        protection: (0, 0, 0, 0, 0)
      nr_free_cma  700000
  start_pfn:           1048576
`

const Pagetypeinfo = `Page block order: 9
Pages per block:  512

Free pages count per migrate type at order       0      1      2      3      4      5      6      7      8      9     10
Node    0, zone   Normal, type    Unmovable     33    280    396      0    107     43     39     19      1      0      0
Node    0, zone   Normal, type      Movable    537 >100000     69      0      0      1    206    176     63    170    701
Node    0, zone   Normal, type   HighAtomic      0      0      0      0      0      0      0      0      0      8     10

Number of blocks type     Unmovable      Movable  Reclaimable   HighAtomic      Isolate
Node 0, zone      DMA            1            7            0            0            0
Node 0, zone   Normal           67         4121           60           28            0
`

const RootMounts = "24 27 0:6 / /dev rw - devtmpfs devtmpfs rw\n27 1 254:0 / / rw - ext4 /dev/vda rw\n"

const Buddyinfo = `Node 0, zone      DMA      0      0      0      0      0      0      0      0      1      1      3
Node 0, zone   Normal   7094   4810   4500   2061    942    321    236    204     81    178    711
Node 1, zone   Normal      5      4      3      2      1      0      0      0      0      2      0
`
