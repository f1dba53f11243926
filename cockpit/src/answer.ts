import { useEffect, useRef, useState } from "react";
import type { Failure } from "./vmhuge";

const least = 2000; // milliseconds between the beginnings of two readings

/** The answer to a question, which is asked anew when something that it depends on has changed. */
export function useAnswer<T>(ask: () => Promise<T>, dependsOn: unknown[]): { answer?: T; failure?: Failure } {
    const [known, setKnown] = useState<{ answer?: T; failure?: Failure }>({});
    const begun = useRef(-Infinity);
    const gone = useRef(false);
    useEffect(() => {
        gone.current = false;
        return () => { gone.current = true };
    }, []);
    useEffect(() => {
        const told = (now: { answer?: T; failure?: Failure }) => { if (!gone.current) setKnown(now) };
        const timer = setTimeout(() => {
            begun.current = performance.now();
            ask().then(answer => told({ answer }), (failure: Failure) => told({ failure }));
        }, begun.current + least - performance.now());
        return () => clearTimeout(timer);
    }, dependsOn);
    return known;
}
