// SPDX-FileCopyrightText: The Constellation authors
// SPDX-License-Identifier: Apache-2.0

// Command peers measures how fast Go libraries verify the evidence that `attestation` verifies in Python.
//
//	peers [-for DURATION] [-at TIME] snp-chain REPORT VEK
//	peers [-for DURATION] [-at TIME] snp-signature REPORT VEK
//	peers [-for DURATION] tpm-quote QUOTE.json
//	peers [-for DURATION] [-at TIME] tdx-quote QUOTE ROOT.pem
//
// No subject needs the network, or keeps more between iterations than its comment says. The answer is one line of JSON.
// "seconds" are seconds of processor time, of all threads: collecting garbage is work too.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"
)

// verification checks one piece of evidence once, from its bytes.
type verification func() error

// subjects maps a command to the function that reads its files and prepares the verification.
var subjects = map[string]func(files []string, at time.Time) (verification, error){
	"snp-chain":     snpChain,
	"snp-signature": snpSignature,
	"tpm-quote":     tpmQuote,
	"tdx-quote":     tdxQuote,
}

// rate is the answer of a run.
type rate struct {
	Name       string  `json:"name"`
	Iterations int     `json:"iterations"`
	Seconds    float64 `json:"seconds"`
	PerSecond  float64 `json:"per_second"`
}

func main() {
	runtime.GOMAXPROCS(1)
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func run() error {
	duration := flag.Duration("for", time.Second, "processor time to measure")
	moment := flag.String("at", "", "time of verification, RFC 3339 (default: now)")
	flag.Parse()
	at, err := parseTime(*moment)
	if err != nil {
		return err
	}
	prepare, known := subjects[flag.Arg(0)]
	if !known {
		return fmt.Errorf("unknown subject %q", flag.Arg(0))
	}
	verify, err := prepare(flag.Args()[1:], at)
	if err != nil {
		return fmt.Errorf("%s: %w", flag.Arg(0), err)
	}
	result, err := measure(verify, *duration)
	if err != nil {
		return fmt.Errorf("%s: refused: %w", flag.Arg(0), err)
	}
	result.Name = flag.Arg(0)
	return json.NewEncoder(os.Stdout).Encode(result)
}

func parseTime(text string) (time.Time, error) {
	if text == "" {
		return time.Now(), nil
	}
	return time.Parse(time.RFC3339, text)
}

// readFiles reads exactly count files.
func readFiles(names []string, count int) ([][]byte, error) {
	if len(names) != count {
		return nil, fmt.Errorf("%d files are needed, %d are given", count, len(names))
	}
	contents := make([][]byte, 0, count)
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		contents = append(contents, content)
	}
	return contents, nil
}

// measure repeats a verification until the time is used up; the first, which fills caches, does not count.
func measure(verify verification, duration time.Duration) (rate, error) {
	if err := verify(); err != nil {
		return rate{}, err
	}
	iterations := 0
	elapsed := time.Duration(0)
	start := processorTime()
	for elapsed < duration {
		if err := verify(); err != nil {
			return rate{}, err
		}
		iterations++
		elapsed = processorTime() - start
	}
	return rate{
		Iterations: iterations,
		Seconds:    elapsed.Seconds(),
		PerSecond:  float64(iterations) / elapsed.Seconds(),
	}, nil
}

// processorTime is what this process has used so far, in user and system mode.
func processorTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err) // cannot fail with these arguments
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
