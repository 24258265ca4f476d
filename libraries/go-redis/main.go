// go-redis: one client for all, as its own documentation says, with a connection in its pool for every one of ours.
package main

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"lostupdates/worker"
)

var (
	ctx    = context.Background()
	script = redis.NewScript("return redis.call('INCR', KEYS[1])")
	client *redis.Client
)

func open(job worker.Job, number int) (worker.Update, error) {
	if client == nil {
		options, err := redis.ParseURL(job.URL)
		if err != nil {
			return nil, err
		}
		options.PoolSize = len(job.Clients)
		if job.Settings == "safe" {
			// A command is sent once, and its reply is waited for a second.
			options.MaxRetries = -1
			options.ReadTimeout = time.Second
		}
		client = redis.NewClient(options)
	}
	if err := client.Ping(ctx).Err(); err != nil {
		return nil, err
	}
	return strategies[job.Strategy], nil
}

func one(update func(key string) (worker.Told, error)) worker.Update {
	return func(keys []string) ([]worker.Told, error) {
		told, err := update(keys[0])
		return []worker.Told{told}, err
	}
}

func get(source redis.Cmdable, key string) (int64, error) {
	value, err := source.Get(ctx, key).Int64()
	if errors.Is(err, redis.Nil) {
		return 0, nil
	}
	return value, err
}

func getSet(key string) (worker.Told, error) {
	value, err := get(client, key)
	if err != nil {
		return worker.Told{}, err
	}
	return worker.Told{Value: value + 1, Tries: 1}, client.Set(ctx, key, value+1, 0).Err()
}

func watch(key string) (worker.Told, error) {
	for told := (worker.Told{Tries: 1}); ; told.Tries++ {
		err := client.Watch(ctx, func(tx *redis.Tx) error {
			value, err := get(tx, key)
			if err != nil {
				return err
			}
			told.Value = value + 1
			_, err = tx.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
				return pipe.Set(ctx, key, value+1, 0).Err()
			})
			return err
		}, key)
		if !errors.Is(err, redis.TxFailedErr) {
			return told, err
		}
	}
}

func pipelinedIncr(keys []string) ([]worker.Told, error) {
	pipe := client.Pipeline()
	replies := make([]*redis.IntCmd, len(keys))
	for i, key := range keys {
		replies[i] = pipe.Incr(ctx, key)
	}
	_, err := pipe.Exec(ctx)
	told := make([]worker.Told, len(keys))
	for i, reply := range replies {
		told[i] = worker.Told{Value: reply.Val(), Tries: 1}
	}
	return told, err
}

var strategies = map[string]worker.Update{
	"incr": one(func(key string) (worker.Told, error) {
		value, err := client.Incr(ctx, key).Result()
		return worker.Told{Value: value, Tries: 1}, err
	}),
	"lua-incr": one(func(key string) (worker.Told, error) {
		value, err := script.Run(ctx, client, []string{key}).Int64()
		return worker.Told{Value: value, Tries: 1}, err
	}),
	"get-set":        one(getSet),
	"watch":          one(watch),
	"pipelined-incr": pipelinedIncr,
}

func effective() map[string]string {
	options := client.Options()
	return map[string]string{
		"retries":           strconv.Itoa(options.MaxRetries),
		"min_retry_backoff": options.MinRetryBackoff.String(),
		"read_timeout":      options.ReadTimeout.String(),
		"pool_size":         strconv.Itoa(options.PoolSize),
	}
}

// An error that the server answers with: this try did nothing.
func refused(err error) bool {
	var answered redis.Error
	return errors.As(err, &answered)
}

func main() {
	worker.Serve(worker.Adapter{
		Library: "go-redis", Version: strings.TrimPrefix(redis.Version(), "v"), Open: open, Refused: refused, Effective: effective,
		Batched: func(strategy string) bool { return strategy == "pipelined-incr" },
	})
}
