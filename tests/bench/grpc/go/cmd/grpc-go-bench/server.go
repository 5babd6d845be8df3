package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"

	"google.golang.org/grpc"
)

func answerUnary(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	m := &message{keep: true}
	return m, decode(m)
}

func answerStream(_ any, stream grpc.ServerStream) error {
	for {
		m := message{keep: true}
		if err := stream.RecvMsg(&m); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := stream.SendMsg(&m); err != nil {
			return err
		}
	}
}

// server echoes on 127.0.0.1, 127.0.0.2, … at one port, which it prints.
func server(addresses int) {
	s := grpc.NewServer(grpc.ForceServerCodecV2(codec{}))
	s.RegisterService(&grpc.ServiceDesc{
		ServiceName: "grpc.examples.echo.Echo",
		HandlerType: (*any)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "UnaryEcho", Handler: answerUnary}},
		Streams: []grpc.StreamDesc{{StreamName: "BidirectionalStreamingEcho", Handler: answerStream,
			ServerStreams: true, ClientStreams: true}},
	}, nil)
	port := 0
	for host := range addresses {
		listener, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.%d:%d", host+1, port))
		if err != nil {
			log.Fatal(err)
		}
		port = listener.Addr().(*net.TCPAddr).Port
		go func() { log.Fatal(s.Serve(listener)) }()
	}
	fmt.Println(port)
	select {}
}
