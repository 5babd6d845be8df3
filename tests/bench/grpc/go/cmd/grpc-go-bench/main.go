// grpc-go-bench is grpc-go as a server and as a subject of bench-grpc (see ../../../peers.py for what a
// subject is).
//
//	grpc-go-bench server ADDRESSES
//	grpc-go-bench unary ADDRESSES CALLS IN_FLIGHT
//	grpc-go-bench stream ADDRESSES MESSAGES IN_FLIGHT BYTES
//	grpc-go-bench channels ADDRESSES COUNT [IDLE_MS]
//
// Messages are bytes that nobody decodes or copies: grpc-go at its best.
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
)

const (
	unaryEcho    = "/grpc.examples.echo.Echo/UnaryEcho"
	streamEcho   = "/grpc.examples.echo.Echo/BidirectionalStreamingEcho"
	echoBytes    = 64
	channelCalls = 6 // on each of many channels: twice round three endpoints
)

// message is sent as it is; of what is received the length is kept, or, in a server, the bytes.
type message struct {
	bytes mem.BufferSlice
	keep  bool
	len   int
}

type codec struct{}

func (codec) Name() string { return "proto" }

func (codec) Marshal(v any) (mem.BufferSlice, error) { return v.(*message).bytes, nil }

func (codec) Unmarshal(data mem.BufferSlice, v any) error {
	m := v.(*message)
	m.len = data.Len()
	if m.keep {
		data.Ref()
		m.bytes = data
	}
	return nil
}

func newMessage(size int) *message {
	return &message{bytes: mem.BufferSlice{mem.SliceBuffer(make([]byte, size))}}
}

func usage() {
	log.Fatal("usage: grpc-go-bench server|unary|stream|channels ADDRESSES …")
}

func number(at int) int {
	if at >= len(os.Args) {
		usage()
	}
	n, err := strconv.Atoi(os.Args[at])
	if err != nil {
		usage()
	}
	return n
}

func cpu() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		log.Fatal(err)
	}
	return u.Utime.Nano()/1000 + u.Stime.Nano()/1000
}

// dial opens a channel to all addresses, which take turns.
func dial(addresses string, options ...grpc.DialOption) *grpc.ClientConn {
	static := manual.NewBuilderWithScheme("static")
	state := resolver.State{}
	for address := range strings.SplitSeq(addresses, ",") {
		state.Addresses = append(state.Addresses, resolver.Address{Addr: address})
	}
	static.InitialState(state)
	conn, err := grpc.NewClient("static:///all", append(options, grpc.WithResolvers(static),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig": [{"round_robin": {}}]}`),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(codec{}), grpc.WaitForReady(true)))...)
	if err != nil {
		log.Fatal(err)
	}
	return conn
}

func call(conn *grpc.ClientConn, request *message) {
	var answer message
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := conn.Invoke(ctx, unaryEcho, request, &answer); err != nil {
		log.Fatal(err)
	}
	if answer.len != echoBytes {
		log.Fatal("an answer of another length")
	}
}

// calls makes count calls, so many in flight, from as many goroutines.
func calls(conn *grpc.ClientConn, count, inFlight int, took []time.Duration) {
	var left atomic.Int64
	var all sync.WaitGroup
	left.Store(int64(count))
	for range inFlight {
		all.Go(func() {
			request := newMessage(echoBytes)
			for left.Add(-1) >= 0 {
				began := time.Now()
				call(conn, request)
				if took != nil {
					took[count-1-int(left.Load())] = time.Since(began)
				}
			}
		})
	}
	all.Wait()
}

func done(count int, cpuUs int64, wall time.Duration, took []time.Duration) {
	fmt.Printf(`{"at": "done", "count": %d, "cpu_us": %d, "us": %d`, count, cpuUs, wall.Microseconds())
	if took != nil {
		slices.Sort(took)
		fmt.Printf(`, "p50_us": %.1f, "p99_us": %.1f`, float64(took[count/2].Nanoseconds())/1e3,
			float64(took[count*99/100].Nanoseconds())/1e3)
	}
	fmt.Println("}")
}

func unary() {
	conn, count, inFlight := dial(os.Args[2]), number(3), number(4)
	var took []time.Duration
	if inFlight == 1 {
		took = make([]time.Duration, count)
	}
	calls(conn, count/10+1, inFlight, nil)
	from, began := cpu(), time.Now()
	calls(conn, count, inFlight, took)
	done(count, cpu()-from, time.Since(began), took)
	conn.Close()
}

// echoes sends count messages on the stream, so many ahead of what comes back.
func echoes(stream grpc.ClientStream, room chan struct{}, out *message, count int) {
	go func() {
		for range count {
			room <- struct{}{}
			if err := stream.SendMsg(out); err != nil {
				log.Fatal(err)
			}
		}
	}()
	for range count {
		var in message
		if err := stream.RecvMsg(&in); err != nil {
			log.Fatal(err)
		}
		if in.len != out.bytes.Len() {
			log.Fatal("a message of another length")
		}
		<-room
	}
}

func stream() {
	conn, count, inFlight, size := dial(os.Args[2]), number(3), number(4), number(5)
	stream, err := conn.NewStream(context.Background(),
		&grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, streamEcho)
	if err != nil {
		log.Fatal(err)
	}
	room, out := make(chan struct{}, inFlight), newMessage(size)
	echoes(stream, room, out, count/10+1)
	from, began := cpu(), time.Now()
	echoes(stream, room, out, count)
	used, wall := cpu()-from, time.Since(began)
	stream.CloseSend()
	if err := stream.RecvMsg(new(message)); err != io.EOF {
		log.Fatal("the stream did not end: ", err)
	}
	done(count, used, wall, nil)
	conn.Close()
}

func waitUntilIdle(conn *grpc.ClientConn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for state := conn.GetState(); state != connectivity.Idle; state = conn.GetState() {
		if !conn.WaitForStateChange(ctx, state) {
			log.Fatal("a channel does not become idle")
		}
	}
}

// channels opens many, uses all connections of each, and keeps them until standard input ends. At a line of it
// memory is given back to the system.
func channels() {
	request := newMessage(echoBytes)
	var options []grpc.DialOption
	if len(os.Args) > 4 {
		options = append(options, grpc.WithIdleTimeout(time.Duration(number(4))*time.Millisecond))
	}
	var conns []*grpc.ClientConn
	for range number(3) {
		conn := dial(os.Args[2], options...)
		for range channelCalls {
			call(conn, request)
		}
		conns = append(conns, conn)
	}
	if options != nil {
		for _, conn := range conns {
			waitUntilIdle(conn)
		}
	}
	fmt.Printf("{\"at\": \"ready\", \"count\": %d}\n", len(conns))
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var stats runtime.MemStats
		debug.FreeOSMemory()
		runtime.ReadMemStats(&stats)
		fmt.Printf("{\"at\": \"freed\", \"live\": %d}\n", stats.HeapAlloc+stats.StackInuse)
	}
	for _, conn := range conns {
		conn.Close()
	}
}

func main() {
	if len(os.Args) < 3 {
		usage()
	}
	switch os.Args[1] {
	case "server":
		server(number(2))
	case "unary":
		unary()
	case "stream":
		stream()
	case "channels":
		channels()
	default:
		usage()
	}
}
