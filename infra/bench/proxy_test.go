package main

import "testing"

func TestRowsThatAreNotThereAreBilled(t *testing.T) {
	for _, tc := range []struct {
		rule, operation, request, reply string
		want                            float64
	}{
		{"AFoundRowIsInTheStatement", "GetItem", `{"ConsistentRead":true}`, `{"Item":{}}`, 0},
		{"AConsistentGetCostsAUnit", "GetItem", `{"ConsistentRead":true}`, `{}`, 1},
		{"AnEventualOneHalf", "GetItem", `{}`, `{}`, 0.5},
		{"OfABatchThoseMissing", "BatchGetItem", `{"RequestItems":{"t":{"Keys":[{},{},{}]}}}`, `{"Responses":{"t":[{}]}}`, 1},
		{"OfAConsistentBatchTwice", "BatchGetItem", `{"RequestItems":{"t":{"Keys":[{},{},{}],"ConsistentRead":true}}}`, `{"Responses":{"t":[{}]}}`, 2},
		{"AnEmptyListHalf", "Query", `{}`, `{"Items":[],"Count":0}`, 0.5},
		{"AFullListNothingMore", "Query", `{}`, `{"Items":[{},{}],"Count":2}`, 0},
		{"AWriteNothing", "PutItem", `{}`, `{}`, 0},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			a, err := rowsAsked(tc.operation, []byte(tc.request))
			if err != nil {
				t.Fatal(err)
			}
			if got := a.absent([]byte(tc.reply)); got != tc.want {
				t.Errorf("%g units, want %g", got, tc.want)
			}
		})
	}
}
