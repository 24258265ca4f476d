// Package worker is the loop that all Go adapters share: docs/libraries.md says what goes over the pipes, and why.
package worker

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	header = "worker,begin_ns,end_ns,outcome,value,key,tries\n"
	// The strategy of clients that send nothing: their rate shows what this loop and the pipes cost.
	noOp  = "no-op"
	block = 64 << 10 // rows are written in blocks of this size, so that few writes happen during the race
)

// Job is what this worker is to do.
type Job struct {
	Protocol  int
	URL       string
	Strategy  string
	Settings  string
	Keys      []string
	Sequences [][]int
	Clients   []int
	Batch     int
	Seed      uint64
}

// Told is what became of one acknowledged update.
type Told struct {
	Value int64
	Tries int
}

// Update adds one for each of the keys with one client.
type Update func(keys []string) ([]Told, error)

// Adapter is what is particular to a library.
type Adapter struct {
	Library, Version string
	// Open makes one client after the other.
	Open func(job Job, client int) (Update, error)
	// Batched says whether a strategy takes several updates at once.
	Batched func(strategy string) bool
	// Refused says whether nothing was done after this error.
	Refused func(err error) bool
	// Effective tells the settings in effect.
	Effective func() map[string]string
}

type goMessage struct {
	StartNs    int64   `json:"start_ns"`
	DurationNs int64   `json:"duration_ns"`
	Updates    []int64 `json:"updates"`
	Rate       *struct {
		PerS    int64 `json:"per_s"`
		Clients int64 `json:"clients"`
	} `json:"rate"`
	PauseNs int64  `json:"pause_ns"`
	Flush   string `json:"flush"`
}

type message struct {
	Job  *Job
	Ping *int
	Go   *goMessage
}

var (
	zero   = time.Now()
	output = sync.Mutex{}
)

func now() int64 { return int64(time.Since(zero)) }

func write(text []byte) {
	output.Lock()
	defer output.Unlock()
	os.Stdout.Write(text) // without anybody who listens there is nothing left to do
}

func say(message any) {
	line, _ := json.Marshal(message)
	write(append(line, '\n'))
}

func fail(err error) {
	say(map[string]string{"error": err.Error()})
	os.Exit(1)
}

type clientLog struct {
	client, place int
	sequence      []int
	byRow         bool
	rows          []byte
	count, acked  int64
	err           string
}

func (log *clientLog) add(begin, end int64, outcome string, value *int64, key, tries int) {
	row := log.rows
	row = strconv.AppendInt(row, int64(log.client), 10)
	row = strconv.AppendInt(append(row, ','), begin, 10)
	row = strconv.AppendInt(append(row, ','), end, 10)
	row = append(append(row, ','), outcome...)
	row = append(row, ',')
	if value != nil {
		row = strconv.AppendInt(row, *value, 10)
		log.acked++
	}
	row = strconv.AppendInt(append(row, ','), int64(key), 10)
	row = strconv.AppendInt(append(row, ','), int64(tries), 10)
	log.rows = append(row, '\n')
	log.count++
	if log.byRow || len(log.rows) > block {
		log.flush()
	}
}

func (log *clientLog) flush() {
	write(log.rows)
	log.rows = log.rows[:0]
}

func until(instant int64) {
	if left := instant - now(); left > 0 {
		time.Sleep(time.Duration(left))
	}
}

func run(adapter *Adapter, update Update, job *Job, batch int64, log *clientLog, updates int64, race *goMessage) {
	end := race.StartNs + race.DurationNs
	numbers, keys := make([]int, 0, batch), make([]string, 0, batch)
	until(race.StartNs)
	begin := now()
	for done := int64(0); done < updates && begin < end; {
		numbers, keys = numbers[:0], keys[:0]
		for range min(batch, updates-done) {
			number := log.sequence[log.place%len(log.sequence)]
			log.place++
			numbers, keys = append(numbers, number), append(keys, job.Keys[number])
		}
		done += int64(len(numbers))
		if race.Rate != nil {
			place := (done-1)*race.Rate.Clients + int64(log.client)
			until(race.StartNs + place*1_000_000_000/race.Rate.PerS)
			begin = now()
		}
		told, err := update(keys)
		ended := now()
		for i, number := range numbers {
			switch {
			case err == nil:
				log.add(begin, ended, "ok", &told[i].Value, number, told[i].Tries)
			// Of a batch that failed, some may have been done.
			case len(numbers) == 1 && adapter.Refused(err):
				log.add(begin, ended, "fail", nil, number, 1)
			default:
				log.add(begin, ended, "unknown", nil, number, 1)
			}
		}
		begin = ended
		if err != nil {
			if log.err == "" {
				log.err = fmt.Sprintf("%T: %.300s", err, err.Error())
			}
			time.Sleep(time.Duration(race.PauseNs))
			begin = now()
		}
	}
	log.flush()
}

// nothing is a client that sends nothing.
func nothing(keys []string) ([]Told, error) {
	told := make([]Told, len(keys))
	for i := range told {
		told[i] = Told{Value: 1, Tries: 1}
	}
	return told, nil
}

// Serve does one job: a goroutine for every client.
func Serve(adapter Adapter) {
	input := bufio.NewReader(os.Stdin)
	hear := func() (*message, bool) {
		line, err := input.ReadBytes('\n')
		if err != nil {
			return nil, false
		}
		heard := message{}
		if err := json.Unmarshal(line, &heard); err != nil {
			fail(err)
		}
		return &heard, true
	}
	first, ok := hear()
	if !ok || first.Job == nil {
		fail(fmt.Errorf("a job is to come first"))
	}
	job := first.Job
	if job.Strategy == noOp {
		adapter.Open = func(Job, int) (Update, error) { return nothing, nil }
		adapter.Effective = func() map[string]string { return map[string]string{} }
	}
	batch := int64(1)
	if adapter.Batched(job.Strategy) {
		batch = int64(job.Batch)
	}
	var clients []Update
	for client := range job.Clients {
		update, err := adapter.Open(*job, client)
		if err != nil {
			fail(err)
		}
		clients = append(clients, update)
	}
	runtime := "Go " + strings.TrimPrefix(runtime.Version(), "go")
	say(map[string]any{"ready": map[string]any{"library": adapter.Library, "version": adapter.Version, "runtime": runtime,
		"batch": batch, "settings": adapter.Effective()}})
	for {
		heard, ok := hear()
		if !ok {
			return
		}
		if heard.Ping != nil {
			say(map[string]any{"pong": *heard.Ping, "now_ns": now()})
			continue
		}
		race := heard.Go
		write([]byte(header))
		logs := make([]*clientLog, len(clients))
		var all sync.WaitGroup
		for i, update := range clients {
			sequence := []int{0}
			if i < len(job.Sequences) {
				sequence = job.Sequences[i]
			}
			logs[i] = &clientLog{client: job.Clients[i], sequence: sequence, byRow: race.Flush == "row"}
			all.Add(1)
			go func() {
				defer all.Done()
				run(&adapter, update, job, batch, logs[i], race.Updates[i], race)
			}()
		}
		all.Wait()
		done := map[string]any{}
		var rows, acked int64
		for _, log := range logs {
			rows, acked = rows+log.count, acked+log.acked
			if log.err != "" && done["error"] == nil {
				done["error"] = log.err
			}
		}
		done["rows"], done["acked"] = rows, acked
		say(map[string]any{"done": done})
	}
}
