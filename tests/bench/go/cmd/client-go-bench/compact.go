package main

import (
	"net/netip"
	"strings"
	"sync"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// endpoint is 32 bytes without a pointer, so that the collector never looks at it. Nodes and zones are numbers
// of interned names; pod names are what follows the prefix that all pods of the slice share.
type endpoint struct {
	uid     [16]byte
	address [4]byte
	node    uint32
	podEnd  uint16 // in compact.pods; it begins where the one before ended
	zone    uint16
	flags   uint8
}

const (
	ready = 1 << iota
	serving
	terminating
)

type port struct {
	name, protocol, appProtocol string // interned
	number                      int32
}

// compact is what the store holds in place of an EndpointSlice. It answers as an object with a name and a
// version, which is all that the informer asks for; the embedded interface is nil.
type compact struct {
	metav1.Object
	namespace, name, version string
	service                  string // interned
	prefix, pods             string
	endpoints                []endpoint
	ports                    *[]port // interned: nearly all slices of a service have the same
}

func (c *compact) GetNamespace() string       { return c.namespace }
func (c *compact) GetName() string            { return c.name }
func (c *compact) GetResourceVersion() string { return c.version }

func (c *compact) unready() int {
	n := 0
	for i := range c.endpoints {
		if c.endpoints[i].flags&ready == 0 {
			n++
		}
	}
	return n
}

type compactor struct {
	sync.Mutex
	texts map[string]string
	ids   map[string]uint32
	ports map[string]*[]port
}

func newCompactor() *compactor {
	return &compactor{texts: map[string]string{}, ids: map[string]uint32{}, ports: map[string]*[]port{}}
}

func (c *compactor) text(s string) string {
	kept, ok := c.texts[s]
	if !ok {
		kept = strings.Clone(s)
		c.texts[kept] = kept
	}
	return kept
}

func (c *compactor) id(s *string) uint32 {
	if s == nil {
		return 0
	}
	id, ok := c.ids[*s]
	if !ok {
		id = uint32(len(c.ids) + 1)
		c.ids[strings.Clone(*s)] = id
	}
	return id
}

func (c *compactor) portsOf(slice *discoveryv1.EndpointSlice) *[]port {
	var key strings.Builder
	list := make([]port, 0, len(slice.Ports))
	for _, p := range slice.Ports {
		one := port{}
		if p.Name != nil {
			one.name = c.text(*p.Name)
		}
		if p.Protocol != nil {
			one.protocol = c.text(string(*p.Protocol))
		}
		if p.AppProtocol != nil {
			one.appProtocol = c.text(*p.AppProtocol)
		}
		if p.Port != nil {
			one.number = *p.Port
		}
		list = append(list, one)
		key.WriteString(one.name + "\x00" + one.protocol + "\x00" + one.appProtocol + "\x00")
		key.WriteString(string(rune(one.number)))
	}
	kept, ok := c.ports[key.String()]
	if !ok {
		kept = &list
		c.ports[key.String()] = kept
	}
	return kept
}

func parseUID(text string) (out [16]byte) {
	for i, digits := 0, 0; i < len(text) && digits < 32; i++ {
		c := text[i]
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		default:
			continue // a dash
		}
		out[digits/2] = out[digits/2]<<4 | c
		digits++
	}
	return out
}

func (c *compactor) endpointOf(from *discoveryv1.Endpoint) endpoint {
	out := endpoint{node: c.id(from.NodeName), zone: uint16(c.id(from.Zone))}
	if address, err := netip.ParseAddr(from.Addresses[0]); err == nil && address.Is4() {
		out.address = address.As4()
	}
	if from.TargetRef != nil {
		out.uid = parseUID(string(from.TargetRef.UID))
	}
	if from.Conditions.Ready == nil || *from.Conditions.Ready {
		out.flags |= ready
	}
	if from.Conditions.Serving == nil || *from.Conditions.Serving {
		out.flags |= serving
	}
	if from.Conditions.Terminating != nil && *from.Conditions.Terminating {
		out.flags |= terminating
	}
	return out
}

func podName(e *discoveryv1.Endpoint) string {
	if e.TargetRef == nil {
		return ""
	}
	return e.TargetRef.Name
}

func sharedPrefix(slice *discoveryv1.EndpointSlice) string {
	prefix := ""
	for i := range slice.Endpoints {
		name := podName(&slice.Endpoints[i])
		if i == 0 {
			prefix = name
		}
		for !strings.HasPrefix(name, prefix) {
			prefix = prefix[:len(prefix)-1]
		}
	}
	return prefix
}

func (c *compactor) transform(object any) (any, error) {
	slice, ok := object.(*discoveryv1.EndpointSlice)
	if !ok {
		return object, nil // compacted already, or a tombstone
	}
	c.Lock()
	defer c.Unlock()
	out := &compact{
		namespace: c.text(slice.Namespace),
		name:      strings.Clone(slice.Name),
		version:   strings.Clone(slice.ResourceVersion),
		service:   c.text(slice.Labels[discoveryv1.LabelServiceName]),
		prefix:    strings.Clone(sharedPrefix(slice)),
		endpoints: make([]endpoint, len(slice.Endpoints)),
		ports:     c.portsOf(slice),
	}
	var pods strings.Builder
	size := 0
	for i := range slice.Endpoints {
		size += len(podName(&slice.Endpoints[i])) - len(out.prefix)
	}
	pods.Grow(size)
	for i := range slice.Endpoints {
		out.endpoints[i] = c.endpointOf(&slice.Endpoints[i])
		pods.WriteString(podName(&slice.Endpoints[i])[len(out.prefix):])
		out.endpoints[i].podEnd = uint16(pods.Len())
	}
	out.pods = pods.String()
	return out, nil
}
