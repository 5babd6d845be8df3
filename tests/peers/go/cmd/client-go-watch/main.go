// client-go-watch runs client-go's shared informers for Services and EndpointSlices and prints, whenever
// nothing has changed for a moment, all that it holds as one JSON line:
// {"services":[names],"endpoints":{"ns/service":["address ready terminating", …]}}
//
//	client-go-watch --kubeconfig FILE [--json]
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"sort"
	"sync/atomic"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

const quiet = 300 * time.Millisecond

type held struct {
	Services  []string            `json:"services"`
	Endpoints map[string][]string `json:"endpoints"`
}

func collect(factory informers.SharedInformerFactory) held {
	out := held{Services: []string{}, Endpoints: map[string][]string{}}
	services, _ := factory.Core().V1().Services().Lister().List(labels.Everything())
	for _, service := range services {
		out.Services = append(out.Services, service.Namespace+"/"+service.Name)
	}
	slices, _ := factory.Discovery().V1().EndpointSlices().Lister().List(labels.Everything())
	for _, slice := range slices {
		key := slice.Namespace + "/" + slice.Labels[discoveryv1.LabelServiceName]
		for _, endpoint := range slice.Endpoints {
			conditions := endpoint.Conditions
			ready := conditions.Ready == nil || *conditions.Ready
			terminating := conditions.Terminating != nil && *conditions.Terminating
			out.Endpoints[key] = append(out.Endpoints[key],
				fmt.Sprintf("%s %t %t", endpoint.Addresses[0], ready, terminating))
		}
	}
	sort.Strings(out.Services)
	for _, list := range out.Endpoints {
		sort.Strings(list)
	}
	return out
}

func main() {
	kubeconfig := flag.String("kubeconfig", "", "configuration")
	asJSON := flag.Bool("json", false, "ask for JSON in place of protobuf")
	flag.Parse()
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		log.Fatal(err)
	}
	if !*asJSON {
		config.ContentType = "application/vnd.kubernetes.protobuf"
	}
	factory := informers.NewSharedInformerFactory(kubernetes.NewForConfigOrDie(config), 0)
	var changes atomic.Int64
	count := cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { changes.Add(1) },
		UpdateFunc: func(any, any) { changes.Add(1) },
		DeleteFunc: func(any) { changes.Add(1) },
	}
	factory.Core().V1().Services().Informer().AddEventHandler(count)
	factory.Discovery().V1().EndpointSlices().Informer().AddEventHandler(count)
	stop := make(chan struct{})
	factory.Start(stop)
	factory.WaitForCacheSync(stop)
	printed := int64(-1)
	for out := json.NewEncoder(os.Stdout); ; {
		seen := changes.Load()
		time.Sleep(quiet)
		if seen == changes.Load() && seen != printed {
			printed = seen
			if out.Encode(collect(factory)) != nil {
				return
			}
		}
	}
}
