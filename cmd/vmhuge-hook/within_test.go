package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// It ends like context.WithTimeout, whether it is waited for or asked, and so does what is
// derived from it.
func TestWithin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		ctx, stop := within(time.Minute)
		defer stop()
		child, cancel := context.WithTimeout(ctx, time.Hour)
		defer cancel()
		if ctx.Err() != nil || child.Err() != nil {
			t.Errorf("at once: %v, %v", ctx.Err(), child.Err())
		}
		<-ctx.Done()
		<-child.Done()
		if took := time.Since(began); took != time.Minute || !errors.Is(ctx.Err(), context.DeadlineExceeded) || !errors.Is(child.Err(), context.DeadlineExceeded) {
			t.Errorf("after %s: %v, %v", took, ctx.Err(), child.Err())
		}
		stopped, stop := within(time.Minute)
		done := stopped.Done()
		stop()
		if <-done; !errors.Is(stopped.Err(), context.Canceled) {
			t.Errorf("stopped: %v", stopped.Err())
		}
		asked, stop := within(time.Minute)
		defer stop()
		time.Sleep(2 * time.Minute)
		if !errors.Is(asked.Err(), context.DeadlineExceeded) {
			t.Errorf("asked afterwards: %v", asked.Err())
		}
	})
}
