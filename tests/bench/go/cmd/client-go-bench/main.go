// client-go-bench runs client-go's shared informer for EndpointSlices as a subject of the bench (see
// ../../../discovery/subject.py for what it answers to).
//
//	client-go-bench --kubeconfig FILE [--json] [--compact]
//
// --compact gives the informer a transform that keeps of each slice what Fairlead keeps, in as few bytes as
// Go allows without losing fields.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

// seen is what the handlers write and the commands read.
type seen struct {
	sync.Mutex
	adds, updates, deletes int
	first, last            time.Time // of the updates since the last `expect`
	expected               int       // updates; 0: none
	began                  int64     // CPU, at `expect`
	log                    []entry   // nil: not asked for
}

type entry struct {
	name string
	ns   int64
}

func cpu() int64 { // microseconds
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return (usage.Utime.Nano() + usage.Stime.Nano()) / 1000
}

func tell(at string, fields map[string]any) {
	fields["at"] = at
	json.NewEncoder(os.Stdout).Encode(fields)
}

func (s *seen) updated(name string) {
	s.Lock()
	defer s.Unlock()
	s.updates++
	if s.log != nil {
		s.log = append(s.log, entry{name, time.Now().UnixNano()})
	}
	if s.expected == 0 {
		return
	}
	now := time.Now()
	if s.first.IsZero() {
		s.first = now
	}
	s.last = now
	if s.expected--; s.expected == 0 {
		tell("events", map[string]any{"cpu_us": cpu() - s.began, "seen": s.updates,
			"us": s.last.Sub(s.first).Microseconds()})
	}
}

func (s *seen) handler() cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { s.Lock(); s.adds++; s.Unlock() },
		UpdateFunc: func(old, now any) {
			if version(old) != version(now) { // a relist that found nothing new is no update
				s.updated(name(now))
			}
		},
		DeleteFunc: func(any) { s.Lock(); s.deletes++; s.Unlock() },
	}
}

func name(object any) string {
	if c, ok := object.(*compact); ok {
		return c.name
	}
	return object.(*discoveryv1.EndpointSlice).Name
}

func version(object any) string {
	if c, ok := object.(*compact); ok {
		return c.version
	}
	return object.(*discoveryv1.EndpointSlice).ResourceVersion
}

// held counts what the store has: slices, endpoints, and those that are not ready.
func held(store cache.Store) map[string]any {
	slices, endpoints, unready := 0, 0, 0
	for _, object := range store.List() {
		slices++
		switch slice := object.(type) {
		case *compact:
			endpoints += len(slice.endpoints)
			unready += slice.unready()
		case *discoveryv1.EndpointSlice:
			endpoints += len(slice.Endpoints)
			for i := range slice.Endpoints {
				if ready := slice.Endpoints[i].Conditions.Ready; ready != nil && !*ready {
					unready++
				}
			}
		}
	}
	return map[string]any{"slices": slices, "endpoints": endpoints, "unready": unready}
}

func (s *seen) write(path string) {
	file, err := os.Create(path)
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	out := bufio.NewWriter(file)
	defer out.Flush()
	for _, e := range s.log {
		fmt.Fprintln(out, e.name, e.ns)
	}
}

func (s *seen) command(line string, store cache.Store) {
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "expect": // N updates
		s.Lock()
		fmt.Sscan(rest, &s.expected)
		s.first, s.began = time.Time{}, cpu()
		s.Unlock()
		tell("expecting", map[string]any{})
	case "cpu":
		tell("cpu", map[string]any{"cpu_us": cpu()})
	case "held":
		tell("held", held(store))
	case "log":
		s.Lock()
		s.log = make([]entry, 0, 10000)
		s.Unlock()
		tell("logging", map[string]any{})
	case "write":
		s.Lock()
		s.write(rest)
		s.Unlock()
		tell("written", map[string]any{})
	case "free": // what a program may do that knows it is idle
		runtime.GC()
		debug.FreeOSMemory()
		tell("freed", map[string]any{})
	}
}

func main() {
	kubeconfig := flag.String("kubeconfig", "", "configuration")
	asJSON := flag.Bool("json", false, "ask for JSON in place of protobuf")
	compacted := flag.Bool("compact", false, "transform slices into the most compact struct")
	flag.Parse()
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		log.Fatal(err)
	}
	if !*asJSON {
		config.ContentType = "application/vnd.kubernetes.protobuf"
		config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	}
	factory := informers.NewSharedInformerFactory(kubernetes.NewForConfigOrDie(config), 0)
	informer := factory.Discovery().V1().EndpointSlices().Informer()
	if *compacted {
		if err := informer.SetTransform(newCompactor().transform); err != nil {
			log.Fatal(err)
		}
	}
	var s seen
	registered, err := informer.AddEventHandler(s.handler())
	if err != nil {
		log.Fatal(err)
	}
	stop := make(chan struct{})
	began := time.Now()
	factory.Start(stop)
	if !cache.WaitForCacheSync(stop, registered.HasSynced) {
		log.Fatal("not synced")
	}
	tell("synced", map[string]any{"cpu_us": cpu(), "us": time.Since(began).Microseconds()})
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		s.command(lines.Text(), informer.GetStore())
	}
}
