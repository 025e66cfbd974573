// SPDX-FileCopyrightText: The Constellation authors
// SPDX-License-Identifier: Apache-2.0

// Command pause is the first process of every pod: it keeps the pod's namespaces alive and does nothing else.
//
// Where a pod shares its process namespace, orphans become children of the first process, so it collects the ended
// ones (wait(2), zombies). It ends with status 0 on SIGTERM and SIGINT.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, syscall.SIGINT)
	ended := make(chan os.Signal, 1) // signals that come while we collect are one signal: the next round finds all
	signal.Notify(ended, syscall.SIGCHLD)
	for {
		collect() // the first time: children that ended before we listened
		select {
		case <-end:
			return
		case <-ended:
		}
	}
}

// collect waits for every child that has ended, and for none that has not.
func collect() {
	for {
		child, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || child <= 0 { // ECHILD: there are none; 0: none has ended
			return
		}
	}
}
