// grpc-echo is a pod's process on grpc-go: grpc.examples.echo.Echo, unary and both ways streaming, and
// health. At SIGTERM it calls GracefulStop at once, with no sleep before it, and exits. It says when it
// accepts a connection.
//
//	grpc-echo --listen ADDR [--max-age D] [--max-age-grace D] [--max-streams N] [--delay D]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/mem"
)

// rawCodec hands messages through as bytes: the echo need not know them.
type rawCodec struct{ encoding.CodecV2 }

type rawMessage []byte

func (c rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	if raw, ok := v.(*rawMessage); ok {
		return mem.BufferSlice{mem.SliceBuffer(*raw)}, nil
	}
	return c.CodecV2.Marshal(v)
}

func (c rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	if raw, ok := v.(*rawMessage); ok {
		*raw = data.Materialize()
		return nil
	}
	return c.CodecV2.Unmarshal(data, v)
}

var delay = flag.Duration("delay", 0, "of each unary answer")

func echo(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	message := new(rawMessage)
	err := decode(message)
	time.Sleep(*delay)
	return message, err
}

func echoBothWays(_ any, stream grpc.ServerStream) error {
	for {
		message := new(rawMessage)
		if err := stream.RecvMsg(message); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := stream.SendMsg(message); err != nil {
			return err
		}
	}
}

// telling says who connects.
type telling struct{ net.Listener }

func (l telling) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		fmt.Println("accepted", conn.RemoteAddr())
	}
	return conn, err
}

func main() {
	listen := flag.String("listen", "127.0.0.1:50051", "address:port")
	var age keepalive.ServerParameters
	flag.DurationVar(&age.MaxConnectionAge, "max-age", 0, "of a connection")
	flag.DurationVar(&age.MaxConnectionAgeGrace, "max-age-grace", 0, "until it is cut")
	streams := flag.Uint("max-streams", 0, "calls at a time on a connection")
	flag.Parse()
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	options := []grpc.ServerOption{
		grpc.ForceServerCodecV2(rawCodec{encoding.GetCodecV2("proto")}), grpc.KeepaliveParams(age)}
	if *streams > 0 {
		options = append(options, grpc.MaxConcurrentStreams(uint32(*streams)))
	}
	server := grpc.NewServer(options...)
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "grpc.examples.echo.Echo",
		HandlerType: (*any)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "UnaryEcho", Handler: echo}},
		Streams: []grpc.StreamDesc{{StreamName: "BidirectionalStreamingEcho", Handler: echoBothWays,
			ServerStreams: true, ClientStreams: true}},
	}, nil)
	healthpb.RegisterHealthServer(server, health.NewServer())
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	go func() {
		<-term
		server.GracefulStop()
	}()
	fmt.Println("listening on", listener.Addr())
	if err := server.Serve(telling{listener}); err != nil {
		log.Fatal(err)
	}
}
