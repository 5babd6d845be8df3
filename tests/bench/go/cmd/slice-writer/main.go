// slice-writer flips the readiness of one endpoint in each of --count EndpointSlices, --rate of them a second,
// and prints for each "NAME NANOSECONDS": the clock right before the write.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"sync"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

const writers = 16

func main() {
	kubeconfig := flag.String("kubeconfig", "", "configuration")
	namespace := flag.String("namespace", "", "where")
	count := flag.Int64("count", 1500, "slices to write")
	rate := flag.Int("rate", 150, "writes a second")
	which := flag.Int("endpoint", 0, "the endpoint that is flipped")
	flag.Parse()
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		log.Fatal(err)
	}
	config.ContentType = "application/vnd.kubernetes.protobuf"
	config.QPS, config.Burst = -1, -1
	slices := kubernetes.NewForConfigOrDie(config).DiscoveryV1().EndpointSlices(*namespace)
	list, err := slices.List(context.Background(), metav1.ListOptions{Limit: *count})
	if err != nil {
		log.Fatal(err)
	}
	began := make([]int64, len(list.Items))
	work := make(chan int)
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for i := range work {
				began[i] = time.Now().UnixNano()
				if _, err := slices.Update(context.Background(), flip(&list.Items[i], *which), metav1.UpdateOptions{}); err != nil {
					log.Fatal(err)
				}
			}
		})
	}
	tick := time.NewTicker(time.Second / time.Duration(*rate))
	for i := range list.Items {
		<-tick.C
		work <- i
	}
	close(work)
	all.Wait()
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for i, ns := range began {
		fmt.Fprintln(out, list.Items[i].Name, ns)
	}
}

func flip(slice *discoveryv1.EndpointSlice, which int) *discoveryv1.EndpointSlice {
	conditions := &slice.Endpoints[which].Conditions
	ready := conditions.Ready != nil && !*conditions.Ready
	conditions.Ready, conditions.Serving = &ready, &ready
	return slice
}
